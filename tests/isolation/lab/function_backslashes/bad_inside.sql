-- fires: hidden.clean(text)
-- A function that a policy calls calls it.
create function hidden.clean(given text) returns text language sql immutable set search_path = pg_catalog, pg_temp
    as $$ select replace(given, '\', '') $$;
create function hidden.allowed() returns boolean language sql stable set search_path = pg_catalog, pg_temp
    as $$ select hidden.clean('a') = 'a' $$;
revoke all on function hidden.allowed(), hidden.clean(text) from public;
grant execute on function hidden.allowed(), hidden.clean(text) to authenticated;
create policy more on app.notes as restrictive for update to authenticated using ((select hidden.allowed()));
