drop policy see on app.comments;
create policy see on app.comments for select to authenticated
    using (org_id = any (array(select m.org_id from app.members as m where m.user_id = (select auth.uid()))));
