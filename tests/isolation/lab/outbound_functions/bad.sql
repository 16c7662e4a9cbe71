-- fires: net.http_get(text)
create schema net;
grant usage on schema net to authenticated;
create function net.http_get(url text) returns text language sql set search_path = pg_catalog, pg_temp as 'select null::text';
grant execute on function net.http_get(text) to authenticated;
