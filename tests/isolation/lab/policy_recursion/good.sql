drop policy see on app.orgs;
create policy see on app.orgs for select to authenticated
    using (id = any (array(select m.org_id from app.members as m where m.user_id = (select auth.uid()))));
