-- fires: app.notes
drop policy see on app.notes;
create policy see on app.notes for select using (org_id = any ((select hidden.orgs('guest'))::uuid[]));
