create table app.invites (
    org_id uuid not null references app.orgs (id), id uuid not null default gen_random_uuid(), secret text not null unique, role text not null,
    primary key (org_id, id));
alter table app.invites enable row level security, force row level security;
create policy owner_all on app.invites to lab_owner using (true) with check (true);
create function app.join_org(given text) returns uuid language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    found_one app.invites%rowtype;
begin
    select i.* into found_one from app.invites as i where i.secret = given;
    if found_one.id is null then
        raise exception 'no such invitation';
    end if;
    insert into app.members (org_id, user_id, role) values (found_one.org_id, auth.uid(), found_one.role);
    delete from app.invites where id = found_one.id;
    return found_one.org_id;
end $$;
revoke all on function app.join_org(text) from public;
grant execute on function app.join_org(text) to authenticated;
