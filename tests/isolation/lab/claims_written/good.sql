create function app.impersonate(u uuid) returns text language sql set search_path = pg_catalog, pg_temp
    as $$ select set_config('request.jwt.claim.sub', u::text, true) $$;
create function app.in_berlin() returns text language sql set search_path = pg_catalog, pg_temp
    as $$ select set_config('timezone', 'Europe/Berlin', true) $$;
revoke all on function app.impersonate(uuid), app.in_berlin() from public;
grant execute on function app.in_berlin() to authenticated;
