drop policy remove on app.notes;
create policy remove on app.notes for delete to authenticated
    using (org_id = any (array(select m.org_id from app.members as m where m.user_id = (select auth.uid()) and m.role = 'boss')));
