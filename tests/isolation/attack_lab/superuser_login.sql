-- A login that is superuser.
-- attacks: set_session_authorization

-- name: broken
reset role;
alter role {login} superuser;

-- name: mended
