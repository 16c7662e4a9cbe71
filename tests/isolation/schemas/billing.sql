-- Billing by organisation: the service writes, members read.
create table orgs (id uuid primary key default gen_random_uuid(), name text not null, plan text not null default 'free');
create table org_users (org_id uuid not null references orgs, user_id uuid not null references auth.users, role text not null, primary key (org_id, user_id));
create table customers (org_id uuid primary key references orgs, stripe_id text not null unique);
create table subscriptions (
    org_id uuid not null references orgs, id text not null, status text not null, seats int not null default 1, primary key (org_id, id), unique (id));
create table invoices (
    id uuid primary key default gen_random_uuid(), org_id uuid not null references orgs, amount numeric not null, pdf text, unique (org_id, id));
create table invoice_lines (id uuid primary key default gen_random_uuid(), invoice_id uuid not null references invoices on delete cascade, what text not null, amount numeric not null);
create table contacts (id uuid primary key default gen_random_uuid(), org_id uuid not null references orgs, email text not null, name text, unique (org_id, email));
create table prices (id text primary key, plan text not null, amount numeric not null);
create index on invoices (org_id);
create index on contacts (org_id);
create function private.has_role_on_org(org uuid, wanted text default null) returns boolean language sql stable security definer
set search_path = pg_catalog, pg_temp as $$
    select exists (select from public.org_users as u where u.org_id = org and u.user_id = auth.uid() and (u.role = wanted or wanted is null)) $$;
create function private.my_orgs() returns uuid[] language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(array_agg(u.org_id), '{}') from public.org_users as u where u.user_id = auth.uid() $$;
create policy see on orgs for select to authenticated using (id = any ((select private.my_orgs())::uuid[]));
create policy see on org_users for select to authenticated using (org_id = any ((select private.my_orgs())::uuid[]));
create policy see on customers for select to authenticated using (org_id = any ((select private.my_orgs())::uuid[]));
create policy see on subscriptions for select to authenticated using (org_id = any ((select private.my_orgs())::uuid[]));
create policy see on invoices for select to authenticated using (org_id = any ((select private.my_orgs())::uuid[]));
create policy see on invoice_lines for select to authenticated
    using (invoice_id = any (array(select i.id from invoices as i where i.org_id = any ((select private.my_orgs())::uuid[]))));
create policy see on contacts for select to authenticated using (org_id = any ((select private.my_orgs())::uuid[]));
create policy add on contacts for insert to authenticated with check (org_id = any ((select private.my_orgs())::uuid[]));
create policy see on prices for select to authenticated using (true);
create function public.org_plan(org uuid) returns text language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
    if not private.has_role_on_org(org) then
        raise exception 'not your organisation';
    end if;
    return (select o.plan from public.orgs as o where o.id = org);
end $$;
create function public.invoice_total(invoice uuid) returns numeric language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select sum(l.amount) from public.invoice_lines as l join public.invoices as i on i.id = l.invoice_id
     where i.id = invoice and private.has_role_on_org(i.org_id, 'owner') $$;
grant execute on all functions in schema public to authenticated;
insert into orgs (name) values ('North'), ('South');
insert into org_users select o.id, u.id, 'owner' from orgs as o join auth.users as u on (o.name = 'North') = (u.email < 'person3');
insert into customers select id, 'cus_' || name from orgs;
insert into subscriptions select id, 'sub_' || name, 'active' from orgs;
insert into invoices (org_id, amount) select id, 10 from orgs;
insert into invoice_lines (invoice_id, what, amount) select id, 'Seats', 10 from invoices;
insert into contacts (org_id, email) select id, 'billing@' || name || '.example.org' from orgs;
insert into prices values ('p1', 'free', 0);
-- hole: public.invoice_lines: rows without a tenant column, open to everybody who signed in
create policy signed_in on invoice_lines for select to authenticated using ((select auth.uid()) is not null);
-- hole: public.contacts: an address is in use once over all organisations
create unique index contacts_email on contacts (lower(email));
-- hole: public.set_plan(uuid,text): whoever signed in changes any organisation's plan
create function public.set_plan(org uuid, new_plan text) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if auth.uid() is null then
        raise exception 'sign in first';
    end if;
    update public.orgs as o set plan = new_plan where o.id = org;
end $$;
grant execute on function public.set_plan(uuid, text) to authenticated;
