-- fires: tenantry.seal_key
create schema tenantry;
create table tenantry.seal_key (kid text primary key, secret bytea);
grant select (kid) on tenantry.seal_key to authenticated;
