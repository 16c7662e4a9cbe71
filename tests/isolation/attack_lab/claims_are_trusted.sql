-- A policy that believes what the claims say besides who one is.
-- attacks: claims_of_another_beside_ones_own, role_in_user_metadata, super_flag_in_claims

-- name: broken
drop policy select_guest on note;
create policy select_guest on note for select to authenticated using (
    org_id = any ((select tenantry.tenants('guest'))::uuid[])
    or org_id::text = (select tenantry.claims() -> 'app_metadata' ->> 'tenant')
    or (select tenantry.claims() -> 'user_metadata' ->> 'super_admin') = 'true'
    or (select tenantry.claims() -> 'app_metadata' ->> 'super_admin') = 'true');

-- name: mended
