-- fires: app.me()
create function app.me() returns uuid language sql immutable set search_path = pg_catalog, pg_temp
    as 'select current_setting(''app.user'', true)::uuid';
revoke all on function app.me() from public;
