-- fires: app.has_role(uuid,text)
create function app.has_role(someone uuid, wanted text) returns boolean
    language sql stable security definer set search_path = pg_catalog, pg_temp
    as 'select exists (select from app.members where user_id = $1 and role = $2)';
revoke all on function app.has_role(uuid, text) from public;
grant execute on function app.has_role(uuid, text) to authenticated;
