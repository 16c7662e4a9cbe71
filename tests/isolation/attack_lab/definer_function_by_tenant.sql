-- A function with rights of its owner that answers for whatever tenant it is asked.
-- attacks: read_through_definer_function

-- name: broken
create function notes_of(org uuid) returns bigint language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select count(*) from app.note where org_id = org $$;
grant execute on function notes_of(uuid) to authenticated;

-- name: mended
create function notes_of(org uuid) returns bigint language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select count(*) from app.note where org_id = org and org = any (tenantry.tenants('guest')) $$;
grant execute on function notes_of(uuid) to authenticated;
