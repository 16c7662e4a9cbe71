-- A right to set session_replication_role.
-- attacks: replication_role

-- name: broken
reset role;
grant set on parameter session_replication_role to {login};

-- name: mended
