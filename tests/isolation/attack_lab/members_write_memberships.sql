-- Policies on memberships that ask whether one is signed in.
-- attacks: membership_in_another_tenant, raise_the_own_role

-- name: broken
drop policy insert_boss on member;
create policy insert_boss on member for insert to authenticated with check ((select tenantry.uid()) is not null);
drop policy update_boss on member;
create policy update_boss on member for update to authenticated using ((select tenantry.uid()) is not null);

-- name: mended
