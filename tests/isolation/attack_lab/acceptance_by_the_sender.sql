-- Columns of the service that clients may state: who shares says that it was accepted, with a tenant that they do not see; who exports says
-- what was exported.
-- attacks: push_a_share, finished_export

-- name: broken
grant insert (accepted_at) on share to authenticated;
alter policy insert_boss on share with check (org_id = any ((select tenantry.tenants('boss'))::uuid[]));
grant insert (status, file) on export to authenticated;

-- name: mended
