create schema net;
create function net.http_get(url text) returns text language sql set search_path = pg_catalog, pg_temp as 'select null::text';
