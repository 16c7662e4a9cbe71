-- manifest
-- fires: app.notes
create policy visit on app.notes for delete to anon using (org_id = any ((select hidden.orgs('guest'))::uuid[]));
