drop policy see on app.notes;
create policy see on app.notes for select to authenticated
    using ((select auth.jwt()) -> 'app_metadata' ->> 'role' = 'manager' and org_id = any ((select hidden.orgs('guest'))::uuid[]));
