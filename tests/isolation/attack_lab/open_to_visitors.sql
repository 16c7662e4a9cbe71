-- A policy and a right for visitors.
-- attacks: read_as_visitor

-- name: broken
grant usage on schema app to anon;
grant select on note to anon;
create policy visitors on note for select to anon using (true);

-- name: mended
