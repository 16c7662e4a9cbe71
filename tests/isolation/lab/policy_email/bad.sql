-- fires: app.notes
drop policy change on app.notes;
create policy change on app.notes for update to authenticated
    using (title = (select auth.jwt() ->> 'email') and org_id = any ((select hidden.orgs('boss'))::uuid[]));
