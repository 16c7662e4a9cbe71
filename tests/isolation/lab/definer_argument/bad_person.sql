-- fires: app.promote(uuid,uuid)
create function app.promote(org uuid, member uuid) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if (select m.role from app.members as m where m.user_id = auth.uid() limit 1) <> 'boss' then
        raise exception 'not for you';
    end if;
    update app.members set role = 'boss' where user_id = member;
end $$;
revoke all on function app.promote(uuid, uuid) from public;
grant execute on function app.promote(uuid, uuid) to authenticated;
