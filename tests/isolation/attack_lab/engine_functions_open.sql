-- A function of schema tenantry that clients may run, as default privileges of the owner open them.
-- attacks: functions_of_the_engine

-- name: broken
reset role;
grant execute on function tenantry.settle_tables() to authenticated;

-- name: mended
