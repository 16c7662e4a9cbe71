-- A view that shows sums over the rows of all tenants, without any id.
-- attacks: read_through_view

-- name: broken
create view note_count as select count(*) as notes from note;
grant select on note_count to authenticated;

-- name: mended
create view note_count with (security_invoker = true) as select count(*) as notes from note;
grant select on note_count to authenticated;
