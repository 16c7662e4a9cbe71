create policy floor on app.notes as restrictive for select to authenticated
    using (org_id = any ((select hidden.orgs('guest'))::uuid[]));
