reset role;
grant select on pg_catalog.pg_statistic to lab_owner;
