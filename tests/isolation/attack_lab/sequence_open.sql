-- Rights on the sequence that numbers the rows of all tenants.
-- attacks: sequence_read

-- name: broken
alter table comment add column number bigint generated always as identity;
grant select (number) on comment to authenticated;
grant select, usage on sequence comment_number_seq to authenticated;

-- name: mended
alter table comment add column number bigint generated always as identity;
grant select (number) on comment to authenticated;
