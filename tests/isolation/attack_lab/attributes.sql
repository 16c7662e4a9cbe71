-- A login that may make roles.
-- attacks: attributes_of_roles

-- name: broken
reset role;
alter role {login} createrole;

-- name: mended
