-- A right to the server's own tables of statistics.
-- attacks: statistics_of_columns, statistics_extended

-- name: broken
create statistics note_parts (mcv) on org_id, id from note;
reset role;
grant select on pg_catalog.pg_statistic, pg_catalog.pg_statistic_ext_data to authenticated;

-- name: mended
create statistics note_parts (mcv) on org_id, id from note;
