-- fires: app.notes
drop policy see on app.notes;
create policy see on app.notes for select to authenticated
    using (org_id = (select (auth.jwt() -> 'user_metadata' ->> 'org_id')::uuid));
