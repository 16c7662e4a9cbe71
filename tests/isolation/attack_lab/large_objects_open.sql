-- Large objects without rights of their own.
-- attacks: large_objects

-- name: broken
reset role;
alter database {database} set lo_compat_privileges = on;

-- name: mended
