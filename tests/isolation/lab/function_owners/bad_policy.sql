-- fires: hidden.allowed()
create function hidden.allowed() returns boolean language sql stable set search_path = pg_catalog, pg_temp as 'select true';
grant execute on function hidden.allowed() to authenticated;
create policy more on app.notes for update to authenticated
    using (org_id = any ((select hidden.orgs('guest'))::uuid[]) and (select hidden.allowed()));
reset role;
grant create on schema hidden to lab_app;
alter function hidden.allowed() owner to lab_app;
revoke create on schema hidden from lab_app;
