-- Every caller may end sessions of the shared login; in the repaired twin none may.
-- attacks: end_others_sessions

-- name: broken


-- name: mended
reset role;
revoke execute on function pg_catalog.pg_terminate_backend(integer, bigint), pg_catalog.pg_cancel_backend(integer) from public;
