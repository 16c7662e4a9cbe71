-- fires: pg_catalog.pg_statistic
reset role;
grant select on pg_catalog.pg_statistic to authenticated;
