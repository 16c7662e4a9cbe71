create function app.notes_of(org uuid) returns setof app.notes language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$ select n.* from app.notes as n
             where n.org_id = org
               and exists (select from app.members as m where m.org_id = org and m.user_id = auth.uid()) $$;
create function app.notes_here(org uuid) returns setof app.notes language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$ select n.* from app.notes as n where n.org_id = org and n.org_id = any (hidden.orgs('guest')) $$;
revoke all on function app.notes_of(uuid), app.notes_here(uuid) from public;
grant execute on function app.notes_of(uuid), app.notes_here(uuid) to authenticated;
