-- fires: app.members
grant insert on app.members to authenticated;
create policy join_in on app.members for insert to authenticated
    with check (user_id = (select auth.uid()) and org_id is not null);
