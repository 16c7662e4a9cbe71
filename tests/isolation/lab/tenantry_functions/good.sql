create schema tenantry;
create function tenantry.forget_person(person uuid, hard boolean) returns void language sql security definer
    set search_path = pg_catalog, pg_temp as 'delete from app.notes';
revoke all on function tenantry.forget_person(uuid, boolean) from public;
grant execute on function tenantry.forget_person(uuid, boolean) to service_role;
