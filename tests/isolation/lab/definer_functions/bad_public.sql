-- fires: app.titles()
create function app.titles() returns setof text language sql stable security definer set search_path = pg_catalog, pg_temp
    as 'select title from app.notes where org_id = any (hidden.orgs(''guest''))';
grant execute on function app.titles() to public;
