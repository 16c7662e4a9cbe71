-- fires: app.counted
create function hidden.comments_of(note uuid) returns bigint
    language sql stable security definer set search_path = pg_catalog, pg_temp
    as 'select count(*) from app.comments as c where c.note_id = $1';
revoke all on function hidden.comments_of(uuid) from public;
grant execute on function hidden.comments_of(uuid) to authenticated;
create view app.counted with (security_invoker = true) as select n.id, hidden.comments_of(n.id) from app.notes as n;
grant select on app.counted to authenticated;
