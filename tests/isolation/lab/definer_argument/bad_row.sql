-- fires: app.note_body(uuid)
create function app.note_body(note uuid) returns text language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$ select n.body from app.notes as n where n.id = note and auth.uid() is not null $$;
revoke all on function app.note_body(uuid) from public;
grant execute on function app.note_body(uuid) to authenticated;
