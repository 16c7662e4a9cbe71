-- manifest
-- fires: app.members
create policy whole on app.members for all to authenticated
    using (org_id = any ((select hidden.orgs('boss'))::uuid[])) with check (org_id = any ((select hidden.orgs('boss'))::uuid[]));
