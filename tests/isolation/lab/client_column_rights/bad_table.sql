-- fires: app.members.org_id
grant update on app.members to authenticated;
create policy promote on app.members for update to authenticated
    using (org_id = any ((select hidden.orgs('boss'))::uuid[])) with check (org_id = any ((select hidden.orgs('boss'))::uuid[]));
