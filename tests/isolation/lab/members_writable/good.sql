grant delete on app.members to authenticated;
create policy leave on app.members for delete to authenticated
    using (user_id = (select auth.uid()) and org_id = any ((select hidden.orgs('guest'))::uuid[]));
