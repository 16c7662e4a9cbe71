-- Temporary objects, and a function with rights of its owner that finds them before PostgreSQL's own.
-- attacks: shadow_names_of_functions

-- name: broken
create function helper() returns text language plpgsql stable security definer
    set search_path = '' as $$
declare found text := 'x';
begin
    select label into found from app.org where id = any (tenantry.tenants('guest')) limit 1;
    return null;
end $$;
grant execute on function helper() to authenticated;
reset role;
grant temporary on database {database} to public;

-- name: mended
create function helper() returns text language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp as $$
declare found text := 'x';
begin
    select label into found from app.org where id = any (tenantry.tenants('guest')) limit 1;
    return null;
end $$;
grant execute on function helper() to authenticated;
reset role;
grant temporary on database {database} to public;
