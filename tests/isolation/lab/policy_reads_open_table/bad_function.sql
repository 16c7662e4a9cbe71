-- fires: app.notes
create table hidden.readers (user_id uuid, org_id uuid);
grant insert on hidden.readers to authenticated;
create function hidden.readable() returns uuid[] language sql stable security definer set search_path = pg_catalog, pg_temp
    as 'select array_agg(org_id) from hidden.readers where user_id = auth.uid()';
revoke all on function hidden.readable() from public;
grant execute on function hidden.readable() to authenticated;
drop policy see on app.notes;
create policy see on app.notes for select to authenticated using (org_id = any ((select hidden.readable())::uuid[]));
