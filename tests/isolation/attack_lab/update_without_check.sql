-- An update policy that looks at the old row only, and a right to the tenant column.
-- attacks: update_the_tenant

-- name: broken
grant update (org_id) on event to authenticated;
drop policy select_guest on event;
create policy select_guest on event for select to authenticated using (true);
create policy update_editor on event for update to authenticated
    using (org_id = any ((select tenantry.tenants('editor'))::uuid[])) with check (true);

-- name: mended
grant update (org_id) on event to authenticated;
create policy update_editor on event for update to authenticated
    using (org_id = any ((select tenantry.tenants('editor'))::uuid[]));
