-- fires: app.notes
create function hidden.is_mine(org uuid) returns boolean
    language sql stable security definer set search_path = pg_catalog, pg_temp
    return $1 = any (hidden.orgs('guest'));
revoke all on function hidden.is_mine(uuid) from public;
grant execute on function hidden.is_mine(uuid) to authenticated;
drop policy see on app.notes;
create policy see on app.notes for select to authenticated using (hidden.is_mine(org_id));
