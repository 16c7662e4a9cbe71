-- fires: app.notes
create policy see_more on app.notes for select to authenticated
    using (org_id = any ((select hidden.orgs('boss'))::uuid[]));
