-- fires: app.titles_of(uuid)
create function app.titles_of(p_org_id uuid) returns setof text
    language sql stable security definer set search_path = pg_catalog, pg_temp
    as 'select title from app.notes where org_id = $1';
revoke all on function app.titles_of(uuid) from public;
grant execute on function app.titles_of(uuid) to authenticated;
