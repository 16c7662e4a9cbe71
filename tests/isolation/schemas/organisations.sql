-- Organisations with roles, invitations, projects and tasks.
-- true: secret_columns
create table organisations (id uuid primary key default gen_random_uuid(), name text not null, slug text not null unique);
create table memberships (
    organisation_id uuid not null references organisations on delete cascade, user_id uuid not null references auth.users,
    role text not null default 'member', status text not null default 'active', primary key (organisation_id, user_id));
create table invitations (
    organisation_id uuid not null references organisations on delete cascade, id uuid not null default gen_random_uuid(),
    email text not null, role text not null, token text not null default encode(sha256(gen_random_uuid()::text::bytea), 'hex') unique,
    primary key (organisation_id, id));
create table projects (
    organisation_id uuid not null references organisations on delete cascade, id uuid not null default gen_random_uuid(),
    name text not null, primary key (organisation_id, id));
create table tasks (
    organisation_id uuid not null references organisations on delete cascade, id uuid not null default gen_random_uuid(),
    project_id uuid not null, assignee_id uuid, title text not null, primary key (organisation_id, id),
    foreign key (organisation_id, project_id) references projects (organisation_id, id) on delete cascade,
    foreign key (organisation_id, assignee_id) references memberships (organisation_id, user_id));
create table activity (
    organisation_id uuid not null references organisations on delete cascade, id bigint generated always as identity,
    what text not null, primary key (organisation_id, id));
create index on memberships (user_id);
create function private.organisations_of_caller() returns uuid[] language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(array_agg(m.organisation_id), '{}') from public.memberships as m where m.user_id = auth.uid() and m.status = 'active' $$;
create function private.administered() returns uuid[] language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(array_agg(m.organisation_id), '{}') from public.memberships as m
     where m.user_id = auth.uid() and m.status = 'active' and m.role in ('owner', 'admin') $$;
create policy see on organisations for select to authenticated using (id = any ((select private.organisations_of_caller())::uuid[]));
create policy change on organisations for update to authenticated
    using (id = any ((select private.administered())::uuid[])) with check (id = any ((select private.administered())::uuid[]));
create policy see on memberships for select to authenticated using (organisation_id = any ((select private.organisations_of_caller())::uuid[]));
create policy see_own on memberships for select to authenticated using (user_id = (select auth.uid()));
create policy see on invitations for select to authenticated using (organisation_id = any ((select private.administered())::uuid[]));
create policy see on projects for select to authenticated using (organisation_id = any ((select private.organisations_of_caller())::uuid[]));
create policy change on projects for insert to authenticated with check (organisation_id = any ((select private.administered())::uuid[]));
create policy see on tasks for select to authenticated using (organisation_id = any ((select private.organisations_of_caller())::uuid[]));
create policy add on tasks for insert to authenticated with check (organisation_id = any ((select private.organisations_of_caller())::uuid[]));
create policy drop on tasks for delete to authenticated using (organisation_id = any ((select private.administered())::uuid[]));
create policy see on activity for select to authenticated using (organisation_id = any ((select private.administered())::uuid[]));
create function public.create_organisation(name text, slug text) returns uuid language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    made uuid;
begin
    insert into public.organisations (name, slug) values (create_organisation.name, create_organisation.slug) returning id into made;
    insert into public.memberships (organisation_id, user_id, role) values (made, auth.uid(), 'owner');
    return made;
end $$;
create function public.accept_invitation(given text) returns uuid language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    invitation record;
begin
    delete from public.invitations as i where i.token = given returning i.* into invitation;
    if invitation.id is null then
        raise exception 'no such invitation';
    end if;
    insert into public.memberships (organisation_id, user_id, role) values (invitation.organisation_id, auth.uid(), invitation.role);
    return invitation.organisation_id;
end $$;
create function public.set_role(organisation uuid, member uuid, new_role text) returns void language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
begin
    if not exists (select from public.memberships as m
                    where m.organisation_id = organisation and m.user_id = auth.uid() and m.status = 'active' and m.role = 'owner') then
        raise exception 'only owners do that';
    end if;
    update public.memberships as m set role = new_role where m.organisation_id = organisation and m.user_id = member;
end $$;
grant execute on all functions in schema public to authenticated;
revoke update on organisations from authenticated;
insert into organisations (name, slug) values ('North', 'north'), ('South', 'south');
insert into memberships (organisation_id, user_id, role)
    select o.id, u.id, 'owner' from organisations as o join auth.users as u on (o.slug = 'north') = (u.email in ('person1@example.org', 'person2@example.org'));
insert into projects (organisation_id, name) select id, 'Site' from organisations;
insert into tasks (organisation_id, project_id, title) select organisation_id, id, 'Plan' from projects;
insert into invitations (organisation_id, email, role) select id, 'guest@example.org', 'member' from organisations;
insert into activity (organisation_id, what) select id, 'made' from organisations;
-- hole: public.activity: suspended members go on reading
create policy see_all on activity for select to authenticated
    using (organisation_id = any (array(select m.organisation_id from memberships as m where m.user_id = (select auth.uid()))));
-- hole: public.promote(uuid,text): an owner of anything promotes anybody anywhere
create function public.promote(member uuid, new_role text) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if not exists (select from public.memberships as m where m.user_id = auth.uid() and m.status = 'active' and m.role = 'owner') then
        raise exception 'only owners do that';
    end if;
    update public.memberships as m set role = new_role where m.user_id = member;
end $$;
grant execute on function public.promote(uuid, text) to authenticated;
-- hole: public.invitations: everybody reads addresses and tokens
create policy by_token on invitations for select to authenticated using (true);
