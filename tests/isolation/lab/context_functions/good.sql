create schema tenantry;
create function tenantry.peek() returns bigint language sql security definer set search_path = pg_catalog, pg_temp
    return (select count(*) from app.notes);
revoke all on function tenantry.peek() from public;
