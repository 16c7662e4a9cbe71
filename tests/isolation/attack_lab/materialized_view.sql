-- A materialized view that clients read.
-- attacks: read_through_materialized_view

-- name: broken
create materialized view note_list as select org_id, id, title from note;
grant select on note_list to authenticated;

-- name: mended
create materialized view note_list as select org_id, id, title from note;
