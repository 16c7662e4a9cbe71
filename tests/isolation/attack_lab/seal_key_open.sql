-- A right to read the keys of sealed contexts.
-- attacks: read_the_seal_key

-- name: broken
grant select on tenantry.seal_key to authenticated;

-- name: mended
