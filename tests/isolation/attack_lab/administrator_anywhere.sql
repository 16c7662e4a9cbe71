-- A policy that asks whether one is administrator at all, and member here.
-- attacks: administrator_elsewhere

-- name: broken
drop policy delete_boss on comment;
create policy delete_boss on comment for delete to authenticated
    using (org_id = any ((select tenantry.tenants('guest'))::uuid[]) and cardinality((select tenantry.tenants('boss'))) > 0);

-- name: mended
