drop policy see on app.notes;
create policy see on app.notes for select to authenticated
    using (author_id = (select auth.uid()) and org_id = any ((select hidden.orgs('guest'))::uuid[]));
