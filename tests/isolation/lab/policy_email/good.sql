drop policy change on app.notes;
create policy change on app.notes for update to authenticated
    using (author_id = (select auth.uid()) and org_id = any ((select hidden.orgs('boss'))::uuid[]));
