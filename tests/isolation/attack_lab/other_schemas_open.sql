-- Rights on the old tables, on accounts, on Tenantry's own tables, and a schema that is open to PUBLIC.
-- attacks: read_source_schema, read_engine_schema, read_accounts, read_other_schemas

-- name: broken
grant usage on schema old, auth to authenticated;
grant select on all tables in schema old to authenticated;
grant select on tenantry.account to authenticated;
grant select on auth.users to authenticated;
create policy every_account on auth.users for select to authenticated using (true);
create schema extra;
create table extra.export as select 'of everybody' as what;
grant usage on schema extra to public;
grant select on extra.export to public;

-- name: mended
create schema extra;
create table extra.export as select 'of everybody' as what;
