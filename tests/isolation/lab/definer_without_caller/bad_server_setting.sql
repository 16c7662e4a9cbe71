-- fires: app.everything()
-- A setting of the server is no caller.
create function app.everything() returns setof text
    language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if current_setting('server_version_num')::int > 100000 then
        return query select title from app.notes;
    end if;
end
$$;
revoke all on function app.everything() from public;
grant execute on function app.everything() to authenticated;
