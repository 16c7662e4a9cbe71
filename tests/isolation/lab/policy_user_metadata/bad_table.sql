-- fires: app.notes
create table auth.users (id uuid primary key, raw_user_meta_data jsonb);
drop policy see on app.notes;
create policy see on app.notes for select to authenticated
    using (org_id = (select (u.raw_user_meta_data ->> 'org_id')::uuid from auth.users as u where u.id = (select auth.uid())));
