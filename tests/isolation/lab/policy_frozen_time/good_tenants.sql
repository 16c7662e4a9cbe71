alter table app.members add column joined timestamptz;
create schema tenantry;
create function tenantry.tenants(at_least text) returns uuid[] language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$ select array(select m.org_id from app.members as m where m.joined < clock_timestamp()) $$;
revoke all on function tenantry.tenants(text) from public;
