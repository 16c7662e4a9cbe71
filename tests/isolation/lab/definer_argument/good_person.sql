create function app.promote(org uuid, member uuid) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    me uuid := auth.uid();
begin
    if (select m.role from app.members as m where m.user_id = me and m.org_id = org) is distinct from 'boss' then
        raise exception 'not for you';
    end if;
    update app.members set role = 'boss' where user_id = member and org_id = org;
end $$;
revoke all on function app.promote(uuid, uuid) from public;
grant execute on function app.promote(uuid, uuid) to authenticated;
