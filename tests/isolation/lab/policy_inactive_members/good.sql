alter table app.members add is_active boolean not null default true;
create or replace function hidden.orgs(at_least text) returns uuid[]
    language sql stable security definer set search_path = pg_catalog, pg_temp
    return array(
        select m.org_id from app.members as m
         where m.user_id = auth.uid() and m.is_active and (m.role = 'boss' or $1 = 'guest'));
drop policy see on app.comments;
create policy see on app.comments for select to authenticated
    using (org_id = any (array(select m.org_id from app.members as m where m.user_id = (select auth.uid()) and m.is_active)));
