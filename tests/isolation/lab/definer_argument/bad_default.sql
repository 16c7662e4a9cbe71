-- fires: app.my_orgs(uuid)
create function app.my_orgs(who uuid default auth.uid()) returns setof uuid language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$ select m.org_id from app.members as m where m.user_id = who and auth.uid() is not null $$;
revoke all on function app.my_orgs(uuid) from public;
grant execute on function app.my_orgs(uuid) to authenticated;
