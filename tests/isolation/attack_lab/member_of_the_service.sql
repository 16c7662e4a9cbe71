-- A login that may become the service.
-- attacks: set_role, roles_of_the_login, service_role_in_claims

-- name: broken
reset role;
grant service_role to {login};

-- name: mended
