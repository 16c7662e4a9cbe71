-- fires: app.search(text)
create function app.search(words text) returns setof app.notes
    language sql stable security definer set search_path = pg_catalog, pg_temp
    as 'select * from app.notes where title ilike $1';
revoke all on function app.search(text) from public;
grant execute on function app.search(text) to authenticated;
