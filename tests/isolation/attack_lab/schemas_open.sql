-- A right to make things in the application's schema.
-- attacks: create_in_schemas

-- name: broken
grant create on schema app to authenticated;

-- name: mended
