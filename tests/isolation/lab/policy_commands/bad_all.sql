-- fires: app.comments
create policy whole on app.comments for all to authenticated
    using (org_id = any ((select hidden.orgs('boss'))::uuid[])) with check (org_id = any ((select hidden.orgs('boss'))::uuid[]));
