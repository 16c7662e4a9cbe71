-- fires: app.sorted(text)
create function app.sorted(by_column text) returns setof app.notes
    language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return query execute 'select * from app.notes where org_id = any (hidden.orgs(''guest'')) order by ' || by_column;
end
$$;
revoke all on function app.sorted(text) from public;
grant execute on function app.sorted(text) to authenticated;
