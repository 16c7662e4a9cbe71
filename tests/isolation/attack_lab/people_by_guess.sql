-- A policy that lets clients name people that they do not see.
-- attacks: foreign_key_tells_existence

-- name: broken
alter policy insert_editor on comment with check (org_id = any ((select tenantry.tenants('editor'))::uuid[]));
alter policy update_editor on comment with check (org_id = any ((select tenantry.tenants('editor'))::uuid[]));

-- name: mended
