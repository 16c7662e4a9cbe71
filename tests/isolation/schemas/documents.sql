-- Documents of organisations, whose members can be suspended: what reads well and is open, beside what is closed.
-- Subscriptions take every right of the platform without a policy for writing, and accounts keep their id by a trigger.
create table firms (id uuid primary key default gen_random_uuid(), name text not null);
create table firm_members (
    firm_id uuid not null references firms, user_id uuid not null, role text not null, is_active boolean not null default true, primary key (firm_id, user_id));
create index on firm_members (user_id);
create function private.my_firms() returns uuid[] language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(array_agg(m.firm_id), '{}') from public.firm_members as m where m.user_id = auth.uid() and m.is_active $$;
create table papers (firm_id uuid not null references firms, id uuid not null default gen_random_uuid(), body text, contact text, primary key (firm_id, id));
create table subscriptions (firm_id uuid primary key references firms, customer text not null unique);
create policy see on firms for select to authenticated using (id = any ((select private.my_firms())::uuid[]));
create policy change on firms for update to authenticated
    using (id = any ((select private.my_firms())::uuid[])) with check (id = any ((select private.my_firms())::uuid[]));
create function private.keep_id() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if new.id <> old.id then
        raise exception 'the id stays';
    end if;
    return new;
end $$;
create trigger keep_id before update on firms for each row execute function private.keep_id();
create policy see_own on firm_members for select to authenticated using (user_id = (select auth.uid()));
create policy see on papers for select to authenticated using (firm_id = any ((select private.my_firms())::uuid[]));
create policy add on papers for insert to authenticated with check (firm_id = any ((select private.my_firms())::uuid[]));
create policy see on subscriptions for select to authenticated using (firm_id = any ((select private.my_firms())::uuid[]));
insert into firms (name) values ('North'), ('South');
insert into firm_members (firm_id, user_id, role) select f.id, u.id, 'owner' from firms as f join auth.users as u on (f.name = 'North') = (u.email < 'person3');
insert into papers (firm_id, body) select id, 'what ' || name || ' keeps to itself' from firms;
insert into subscriptions select id, 'customer of ' || name from firms;
-- hole: public.count_papers(uuid): counts for any firm that the caller names
create function public.count_papers(firm uuid) returns bigint language sql stable security definer set search_path = '' as $$
    select count(*) from public.papers where firm_id = firm $$;
grant execute on function public.count_papers(uuid) to authenticated;
-- hole: api.papers_of(uuid): a schema without tables; asks who calls, not whose the firm is
create schema api;
grant usage on schema api to authenticated;
create function api.papers_of(firm uuid) returns setof public.papers language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select p.* from public.papers as p where auth.uid() is not null and p.firm_id = firm $$;
grant execute on function api.papers_of(uuid) to authenticated;
-- hole: api.hand_over(uuid,uuid): an owner of anything promotes anybody anywhere
create function api.hand_over(firm uuid, member uuid) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if (select m.role from public.firm_members as m where m.user_id = auth.uid() limit 1) <> 'owner' then
        raise exception 'only owners';
    end if;
    update public.firm_members set role = 'owner' where user_id = member;
end $$;
grant execute on function api.hand_over(uuid, uuid) to authenticated;
-- hole: api.my_roles(uuid): the caller is a default argument, which the caller states
create function api.my_roles(who uuid default auth.uid()) returns setof public.firm_members language sql stable security definer
    set search_path = pg_catalog, pg_temp as $$ select m.* from public.firm_members as m where m.user_id = who $$;
grant execute on function api.my_roles(uuid) to authenticated;
-- hole: api.paper_body(uuid): a row by its id, whoever owns it
create function api.paper_body(paper uuid) returns text language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select p.body from public.papers as p where p.id = paper and auth.uid() is not null $$;
grant execute on function api.paper_body(uuid) to authenticated;
-- hole: api.act_as(uuid): sets the claims to what the caller says
create function api.act_as(person uuid) returns text language sql set search_path = pg_catalog, pg_temp as $$
    select set_config('request.jwt.claims', json_build_object('sub', person)::text, true) $$;
grant execute on function api.act_as(uuid) to authenticated;
-- hole: public.contacts: unique over an expression without the tenant, under grants by column
create table contacts (firm_id uuid not null references firms, id uuid not null default gen_random_uuid(), mail text, primary key (firm_id, id));
alter table contacts enable row level security;
create policy see on contacts for select to authenticated using (firm_id = any ((select private.my_firms())::uuid[]));
create policy add on contacts for insert to authenticated with check (firm_id = any ((select private.my_firms())::uuid[]));
grant select, insert (firm_id, mail) on contacts to authenticated;
create unique index contacts_mail on contacts (lower(mail));
-- hole: public.drafts: a suspended member still reads
create table drafts (like papers including all);
insert into drafts select * from papers;
alter table drafts enable row level security;
create policy see on drafts for select to authenticated
    using (firm_id = any (array(select m.firm_id from firm_members as m where m.user_id = (select auth.uid()))));
grant select on drafts to authenticated;
-- hole: public.ledgers: the firms are those of the token
create table ledgers (like papers including all);
alter table ledgers enable row level security;
create policy see on ledgers for select to authenticated
    using (firm_id = any ((select array(select jsonb_array_elements_text(auth.jwt() #> '{app_metadata,firms}')::uuid))::uuid[]));
grant select on ledgers to authenticated;
-- hole: public.loops: a policy that reads its own table
create table loops (like papers including all);
alter table loops add user_id uuid;
alter table loops enable row level security;
create policy see on loops for select to authenticated using (firm_id in (select l.firm_id from loops as l where l.user_id = (select auth.uid())));
grant select on loops to authenticated;
-- hole: public.remarks: rows of a tenant's row without a tenant of their own, open to everybody who signed in
create table remarks (
    id uuid primary key default gen_random_uuid(), paper_firm uuid, paper_id uuid, body text, foreign key (paper_firm, paper_id) references papers (firm_id, id));
insert into remarks (paper_firm, paper_id, body) select firm_id, id, 'on ' || body from papers;
alter table remarks enable row level security;
create policy see on remarks for select to authenticated using ((select auth.uid()) is not null);
grant select on remarks to authenticated;
-- hole: public.reports: a flag that its owner may write opens every firm
create table persons (id uuid primary key, name text, is_staff boolean not null default false);
insert into persons (id) select distinct user_id from firm_members;
alter table persons enable row level security;
create policy see on persons for select to authenticated using (id = (select auth.uid()));
create policy change on persons for update to authenticated using (id = (select auth.uid())) with check (id = (select auth.uid()));
grant select, update on persons to authenticated;
create table reports (like papers including all);
insert into reports select * from papers;
alter table reports enable row level security;
create policy see on reports for select to authenticated
    using (firm_id = any ((select private.my_firms())::uuid[]) or (select exists (select from persons as p where p.id = auth.uid() and p.is_staff)));
grant select on reports to authenticated;
-- hole: public.directory: the EXISTS asks for the caller and never for the row
create table directory (id uuid primary key, name text, phone text);
insert into directory select id, 'Somebody', '000' from persons;
alter table directory enable row level security;
create policy see on directory for select to authenticated
    using (exists (select from firm_members as m where m.firm_id = any (private.my_firms())));
grant select on directory to authenticated;
-- hole: public.scans: a link that its maker may hang on anybody's row opens that row
create table scans (id uuid primary key default gen_random_uuid(), user_id uuid not null, body text);
create table folders (id uuid primary key default gen_random_uuid(), user_id uuid not null, shared boolean not null default false);
create table folder_scans (
    user_id uuid not null, folder_id uuid not null references folders, scan_id uuid not null references scans, primary key (folder_id, scan_id));
do $$
declare
    each text;
begin
    foreach each in array array['scans', 'folders', 'folder_scans'] loop
        execute format('alter table %I enable row level security', each);
        execute format('create policy own on %I to authenticated using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()))', each);
        execute format('grant select, insert, update, delete on %I to authenticated', each);
    end loop;
end $$;
create policy see_shared on folders for select to authenticated using (shared);
create policy see_shared on scans for select to authenticated
    using (id in (select l.scan_id from folder_scans as l where l.folder_id in (select f.id from folders as f where f.shared)));
