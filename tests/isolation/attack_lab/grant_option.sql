-- A right that may be passed on.
-- attacks: grant_rights

-- name: broken
grant select on comment to authenticated with grant option;
reset role;
set role {owner};

-- name: mended
