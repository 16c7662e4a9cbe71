-- fires: app.comments
drop policy see on app.comments;
create policy see on app.comments for select to authenticated
    using (exists (select from app.members as m where m.org_id = org_id and m.user_id = (select auth.uid())));
