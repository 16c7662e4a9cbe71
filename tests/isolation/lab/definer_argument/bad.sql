-- fires: app.notes_of(uuid)
create function app.notes_of(org uuid) returns setof app.notes language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$ select n.* from app.notes as n where auth.uid() is not null and n.org_id = org $$;
revoke all on function app.notes_of(uuid) from public;
grant execute on function app.notes_of(uuid) to authenticated;
