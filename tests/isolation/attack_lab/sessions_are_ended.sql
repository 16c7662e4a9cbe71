-- Everybody may end sessions of his own login, which are everybody's; mended, nobody may.
-- attacks: end_others_sessions

-- name: broken


-- name: mended
reset role;
revoke execute on function pg_catalog.pg_terminate_backend(integer, bigint), pg_catalog.pg_cancel_backend(integer) from public;
