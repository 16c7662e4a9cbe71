-- fires: app.rename(uuid,text)
create function app.rename("orgId" uuid, to_name text) returns void
    language plpgsql security definer set search_path = pg_catalog, pg_temp
    as $$ begin update app.orgs set name = $2 where id = $1; end $$;
revoke all on function app.rename(uuid, text) from public;
grant execute on function app.rename(uuid, text) to authenticated;
