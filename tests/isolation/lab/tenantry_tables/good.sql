create schema tenantry;
create table tenantry.seal_key (kid text primary key, secret bytea);
