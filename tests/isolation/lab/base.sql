-- A small schema with tenants, without findings. Each lab adds one change to it: broken, or repaired.
-- Owned by lab_owner, a role without login.

-- Who calls is written down by the server for one transaction, where no client can write.
create schema hidden;
create table hidden.session (transaction xid8 primary key, claims jsonb not null);

create schema auth;
create function auth.jwt() returns jsonb
    language sql stable security definer set search_path = pg_catalog, pg_temp
    return (select s.claims from hidden.session as s where s.transaction = pg_current_xact_id_if_assigned());
create function auth.uid() returns uuid
    language sql stable set search_path = pg_catalog, pg_temp
    return (auth.jwt() ->> 'sub')::uuid;
create function auth.role() returns text
    language sql stable set search_path = pg_catalog, pg_temp
    return auth.jwt() ->> 'role';

create schema app;
grant usage on schema app to authenticated;

create table app.orgs (
    id   uuid primary key default gen_random_uuid(),
    name text not null
);
create table app.members (
    org_id  uuid not null references app.orgs (id),
    user_id uuid not null,
    role    text not null check (role in ('guest', 'boss')),
    primary key (org_id, user_id)
);
create table app.notes (
    org_id    uuid not null references app.orgs (id),
    id        uuid not null default gen_random_uuid(),
    author_id uuid not null,
    title     text not null,
    body      text,
    primary key (org_id, id),
    foreign key (org_id, author_id) references app.members (org_id, user_id)
);
create table app.comments (
    org_id  uuid not null references app.orgs (id),
    id      uuid not null default gen_random_uuid(),
    note_id uuid not null,
    body    text not null,
    primary key (org_id, id),
    foreign key (org_id, note_id) references app.notes (org_id, id) on delete cascade
);

-- What policies call: by a name that no client can say.
create function hidden.orgs(at_least text) returns uuid[]
    language sql stable security definer set search_path = pg_catalog, pg_temp
    return array(
        select m.org_id from app.members as m
         where m.user_id = auth.uid() and (m.role = 'boss' or $1 = 'guest'));
revoke all on function hidden.orgs(text) from public;
grant execute on function hidden.orgs(text) to authenticated;

do $$
declare
    each regclass;
begin
    foreach each in array array['app.orgs', 'app.members', 'app.notes', 'app.comments']::regclass[] loop
        execute format('alter table %s enable row level security, force row level security', each);
        execute format('create policy owner_all on %s to lab_owner using (true) with check (true)', each);
    end loop;
end
$$;

create policy see on app.orgs for select to authenticated using (id = any ((select hidden.orgs('guest'))::uuid[]));
create policy see on app.members for select to authenticated using (org_id = any ((select hidden.orgs('guest'))::uuid[]));
create policy see on app.notes for select to authenticated using (org_id = any ((select hidden.orgs('guest'))::uuid[]));
create policy add on app.notes for insert to authenticated with check (org_id = any ((select hidden.orgs('guest'))::uuid[]));
create policy change on app.notes for update to authenticated
    using (org_id = any ((select hidden.orgs('boss'))::uuid[])) with check (org_id = any ((select hidden.orgs('boss'))::uuid[]));
create policy remove on app.notes for delete to authenticated using (org_id = any ((select hidden.orgs('boss'))::uuid[]));
create policy see on app.comments for select to authenticated using (org_id = any ((select hidden.orgs('guest'))::uuid[]));
create policy add on app.comments for insert to authenticated with check (org_id = any ((select hidden.orgs('guest'))::uuid[]));

grant select on app.orgs, app.members, app.notes, app.comments to authenticated;
grant insert, delete on app.notes to authenticated;
grant insert on app.comments to authenticated;
grant update (title, body) on app.notes to authenticated;
