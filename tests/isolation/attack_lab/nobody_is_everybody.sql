-- A policy that lets everything through where there is no caller, or none that counts.
-- attacks: no_context, empty_claims, malformed_claims, unknown_account, banned_account, deleted_account, reset_all, commit_inside, several_statements, rollback_before_the_context, claims_left

-- name: broken
drop policy select_guest on note;
create policy select_guest on note for select to authenticated
    using ((select tenantry.profile_id()) is null or org_id = any ((select tenantry.tenants('guest'))::uuid[]));

-- name: mended
