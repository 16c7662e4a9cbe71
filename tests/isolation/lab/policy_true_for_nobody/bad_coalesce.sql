-- fires: app.notes
create policy own on app.notes for select to anon
    using (coalesce(author_id = (select auth.uid()), true) and true);
