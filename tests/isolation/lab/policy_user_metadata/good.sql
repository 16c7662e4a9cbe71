create function app.my_org() returns uuid
    language sql stable set search_path = pg_catalog, pg_temp
    return (auth.jwt() -> 'app_metadata' ->> 'org_id')::uuid;
revoke all on function app.my_org() from public;
grant execute on function app.my_org() to authenticated;
drop policy see on app.notes;
create policy see on app.notes for select to authenticated using (org_id = (select app.my_org()));
