-- fires: app.me()
create function app.me() returns uuid language sql immutable set search_path = pg_catalog, pg_temp as 'select auth.uid()';
revoke all on function app.me() from public;
grant execute on function app.me() to authenticated;
