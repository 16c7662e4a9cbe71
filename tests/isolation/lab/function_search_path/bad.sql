-- fires: app.my_orgs()
set local check_function_bodies = off;
create function app.my_orgs() returns uuid[] language sql stable
    as 'select array_agg(org_id) from members where user_id = auth.uid()';
revoke all on function app.my_orgs() from public;
grant execute on function app.my_orgs() to authenticated;
drop policy see on app.comments;
create policy see on app.comments for select to authenticated using (org_id = any ((select app.my_orgs())::uuid[]));
