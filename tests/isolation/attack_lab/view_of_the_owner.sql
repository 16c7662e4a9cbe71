-- A view that has the rights of its owner.
-- attacks: read_through_view

-- name: broken
create view every_note as select org_id, id, title from note;
grant select on every_note to authenticated;

-- name: mended
create view every_note with (security_invoker = true) as select org_id, id, title from note;
grant select on every_note to authenticated;
