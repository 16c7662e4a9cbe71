-- fires: app.notes
create table hidden.readers (user_id uuid, org_id uuid);
grant insert on hidden.readers to authenticated;
drop policy see on app.notes;
create policy see on app.notes for select to authenticated
    using (org_id = any (array(select r.org_id from hidden.readers as r where r.user_id = (select auth.uid()))));
