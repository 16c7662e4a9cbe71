drop policy remove on app.notes;
create policy remove on app.notes for delete to authenticated
    using (org_id = any ((select hidden.orgs('guest'))::uuid[]) and author_id = (select auth.uid()));
