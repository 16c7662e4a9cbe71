-- A function that connects elsewhere, open to clients.
-- attacks: other_databases

-- name: broken
create function dblink_connect(text) returns text language sql as $$ select 'connected' $$;
grant execute on function dblink_connect(text) to authenticated;

-- name: mended
create function dblink_connect(text) returns text language sql as $$ select 'connected' $$;
revoke execute on function dblink_connect(text) from public;
