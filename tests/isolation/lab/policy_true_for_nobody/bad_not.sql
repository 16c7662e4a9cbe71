-- fires: app.notes
create policy own on app.notes for select to anon
    using (not ((select auth.uid()) is not null) or org_id = any ((select hidden.orgs('guest'))::uuid[]));
