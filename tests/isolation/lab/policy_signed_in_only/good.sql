drop policy see on app.comments;
create policy see on app.comments for select to authenticated
    using ((select auth.role()) = 'authenticated' and org_id = any ((select hidden.orgs('guest'))::uuid[]));
