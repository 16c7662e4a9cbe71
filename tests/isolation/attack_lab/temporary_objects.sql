-- Temporary tables for PUBLIC.
-- attacks: create_temporary

-- name: broken
reset role;
grant temporary on database {database} to public;

-- name: mended
