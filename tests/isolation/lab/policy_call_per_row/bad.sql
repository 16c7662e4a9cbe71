-- fires: app.notes
drop policy see on app.notes;
create policy see on app.notes for select to authenticated
    using (author_id = auth.uid() and org_id = any ((select hidden.orgs('guest'))::uuid[]));
