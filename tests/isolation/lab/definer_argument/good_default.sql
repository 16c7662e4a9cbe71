create function app.my_orgs() returns setof uuid language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$ select m.org_id from app.members as m where m.user_id = auth.uid() $$;
revoke all on function app.my_orgs() from public;
grant execute on function app.my_orgs() to authenticated;
