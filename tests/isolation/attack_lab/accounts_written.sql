-- A right to write accounts.
-- attacks: write_the_super_flag, write_the_engine_schema

-- name: broken
grant select, insert, update, delete on tenantry.account to authenticated;

-- name: mended
