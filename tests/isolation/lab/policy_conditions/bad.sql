-- manifest
-- fires: app.notes
drop policy change on app.notes;
create policy change on app.notes for update to authenticated using (org_id = any ((select hidden.orgs('boss'))::uuid[]));
