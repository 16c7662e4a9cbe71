-- fires: app.notes
create function hidden.is_operator() returns boolean language sql stable security definer set search_path = pg_catalog, pg_temp
    return coalesce((auth.jwt() ->> 'operator')::boolean, false);
revoke all on function hidden.is_operator() from public;
grant execute on function hidden.is_operator() to authenticated;
create policy run on app.notes for select to authenticated using ((select hidden.is_operator()));
