drop policy remove on app.notes;
create policy remove on app.notes for delete to authenticated
    using (org_id = any ((select hidden.orgs('boss'))::uuid[]) and clock_timestamp() > '2020-01-01');
