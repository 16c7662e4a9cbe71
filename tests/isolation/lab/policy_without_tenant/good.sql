drop policy see on app.notes;
create policy see on app.notes for select to authenticated using (author_id = (select auth.uid()));
create policy tenant on app.notes as restrictive for select to authenticated
    using (org_id = any ((select hidden.orgs('guest'))::uuid[]));
