-- fires: app.titles()
create function app.titles() returns setof text language sql stable security definer set search_path = ''
    as 'select title from app.notes where org_id = any (hidden.orgs(''guest''))';
revoke all on function app.titles() from public;
grant execute on function app.titles() to authenticated;
