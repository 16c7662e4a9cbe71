-- fires: app.greeting()
grant usage on schema app to anon;
create function app.greeting() returns text language sql stable security definer set search_path = pg_catalog, pg_temp
    return 'Hello ' || coalesce(auth.uid()::text, 'stranger');
revoke all on function app.greeting() from public;
grant execute on function app.greeting() to anon, authenticated;
