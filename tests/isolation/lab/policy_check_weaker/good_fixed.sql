-- No client may change the tenant, whatever the policy allows.
drop policy change on app.notes;
create policy change on app.notes for update to authenticated
    using (org_id = any ((select hidden.orgs('boss'))::uuid[])) with check (org_id is not null and title <> '');
