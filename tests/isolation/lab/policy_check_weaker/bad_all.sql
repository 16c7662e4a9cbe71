-- fires: app.notes
create policy whole on app.notes for all to authenticated
    using (org_id = any ((select hidden.orgs('boss'))::uuid[])) with check (author_id = (select auth.uid()));
