alter table app.notes add column hidden_from timestamptz;
drop policy see on app.notes;
create policy see on app.notes for select to authenticated
    using (org_id = any ((select hidden.orgs('guest'))::uuid[]) and coalesce(hidden_from > (select clock_timestamp()), true));
