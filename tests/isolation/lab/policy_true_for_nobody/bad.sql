-- fires: app.notes
create policy own on app.notes for select to anon
    using ((select auth.uid()) is null or (author_id = (select auth.uid()) and org_id = any ((select hidden.orgs('guest'))::uuid[])));
