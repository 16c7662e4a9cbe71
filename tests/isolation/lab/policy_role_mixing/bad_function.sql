-- fires: app.notes
create function hidden.is_boss() returns boolean language plpgsql stable security definer set search_path = pg_catalog, pg_temp
    as $$ begin return exists (select from app.members where user_id = auth.uid() and role = 'boss'); end $$;
revoke all on function hidden.is_boss() from public;
grant execute on function hidden.is_boss() to authenticated;
drop policy remove on app.notes;
create policy remove on app.notes for delete to authenticated
    using (org_id = any ((select hidden.orgs('guest'))::uuid[]) and (select hidden.is_boss()));
