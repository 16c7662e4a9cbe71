-- fires: app.notes
create policy everything on app.notes for select to authenticated
    using (1 = 1 or org_id = any ((select hidden.orgs('guest'))::uuid[]));
