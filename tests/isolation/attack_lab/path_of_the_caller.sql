-- A function with rights of its owner and the search path of its caller.
-- attacks: mutable_search_path

-- name: broken
create function helper() returns text language plpgsql stable security definer as $$
declare found text;
begin
    select label into found from app.org where id = any (tenantry.tenants('guest')) limit 1;
    return null;
end $$;
grant execute on function helper() to authenticated;

-- name: mended
create function helper() returns text language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp as $$
declare found text;
begin
    select label into found from app.org where id = any (tenantry.tenants('guest')) limit 1;
    return null;
end $$;
grant execute on function helper() to authenticated;
