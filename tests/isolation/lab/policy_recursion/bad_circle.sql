-- fires: app.members
drop policy see on app.members;
create policy see on app.members for select to authenticated using (org_id = any (array(select o.id from app.orgs as o)));
drop policy see on app.orgs;
create policy see on app.orgs for select to authenticated
    using (id = any (array(select m.org_id from app.members as m where m.user_id = (select auth.uid()))));
