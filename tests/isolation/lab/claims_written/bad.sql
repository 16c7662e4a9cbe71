-- fires: app.impersonate(uuid)
drop policy see on app.notes;
create policy see on app.notes for select to authenticated
    using (org_id in (select m.org_id from app.members as m where m.user_id::text = (select current_setting('request.jwt.claim.sub', true))));
create function app.impersonate(u uuid) returns text language sql set search_path = pg_catalog, pg_temp
    as $$ select set_config('request.jwt.claim.sub', u::text, true) $$;
revoke all on function app.impersonate(uuid) from public;
grant execute on function app.impersonate(uuid) to authenticated;
