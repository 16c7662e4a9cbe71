-- fires: app.act_as(text)
create function app.act_as(claims text) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('request.jwt.claims', claims, true);
end $$;
revoke all on function app.act_as(text) from public;
grant execute on function app.act_as(text) to authenticated;
