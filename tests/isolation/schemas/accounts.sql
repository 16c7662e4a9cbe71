-- Accounts of teams and of single persons, with roles by account.
-- true: policy_slow_select
-- true: secret_columns
create table accounts (id uuid primary key default gen_random_uuid(), name text, personal boolean not null default false, primary_owner uuid not null references auth.users);
create table account_user (account_id uuid not null references accounts on delete cascade, user_id uuid not null references auth.users, account_role text not null, primary key (account_id, user_id));
create table invitations (
    account_id uuid not null references accounts on delete cascade, id uuid not null default gen_random_uuid(), account_role text not null,
    token text not null default encode(sha256(gen_random_uuid()::text::bytea), 'hex') unique, primary key (account_id, id));
create table patients (
    account_id uuid not null references accounts on delete cascade, id uuid not null default gen_random_uuid(), name text not null, birth_date date,
    primary key (account_id, id));
create table visits (
    account_id uuid not null references accounts on delete cascade, id uuid not null default gen_random_uuid(), patient_id uuid not null, note text,
    primary key (account_id, id), foreign key (account_id, patient_id) references patients (account_id, id));
create table settings (account_id uuid primary key references accounts on delete cascade, locale text not null default 'en');
create index on account_user (user_id);
create function public.accounts_with_role(wanted text default null) returns setof uuid language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select u.account_id from public.account_user as u where u.user_id = auth.uid() and (u.account_role = wanted or wanted is null) $$;
create policy see on accounts for select to authenticated using (id in (select public.accounts_with_role()));
create policy own on accounts for select to authenticated using (primary_owner = (select auth.uid()));
create policy see on account_user for select to authenticated using (user_id = (select auth.uid()));
create policy see_colleagues on account_user for select to authenticated using (account_id in (select public.accounts_with_role()));
create policy see on invitations for select to authenticated using (account_id in (select public.accounts_with_role('owner')));
create policy add on invitations for insert to authenticated
    with check (account_id in (select public.accounts_with_role('owner'))
                and (select a.personal from accounts as a where a.id = account_id) = false);
create policy see on patients for select to authenticated using (account_id in (select public.accounts_with_role()));
create policy add on patients for insert to authenticated with check (account_id in (select public.accounts_with_role()));
create policy see on visits for select to authenticated using (account_id in (select public.accounts_with_role()));
create policy add on visits for insert to authenticated with check (account_id in (select public.accounts_with_role()));
create policy see on settings for select to authenticated using (account_id in (select public.accounts_with_role()));
create policy change on settings for update to authenticated
    using (account_id in (select public.accounts_with_role('owner'))) with check (account_id in (select public.accounts_with_role('owner')));
create function public.keep_account() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if new.account_id is distinct from old.account_id then
        raise exception 'settings stay with their account';
    end if;
    return new;
end $$;
create trigger keep_account before update on settings for each row execute function public.keep_account();
create function public.current_role_on(account uuid) returns text language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    found_role text;
begin
    select u.account_role into found_role from public.account_user as u where u.account_id = account and u.user_id = auth.uid();
    return found_role;
end $$;
grant execute on function public.accounts_with_role(text), public.current_role_on(uuid) to authenticated;
insert into accounts (name, primary_owner) values ('North', '00000000-0000-0000-0000-000000000001'), ('South', '00000000-0000-0000-0000-000000000003');
insert into account_user select a.id, u.id, 'owner' from accounts as a join auth.users as u on (a.name = 'North') = (u.email < 'person3');
insert into patients (account_id, name) select id, 'Somebody' from accounts;
insert into visits (account_id, patient_id, note) select account_id, id, 'fine' from patients;
insert into settings (account_id) select id from accounts;
insert into invitations (account_id, account_role) select id, 'member' from accounts;
-- hole: public.account_user: whoever likes makes themselves a member
create policy join_in on account_user for insert to authenticated with check (user_id = (select auth.uid()));
-- hole: public.prescriptions: a table that was forgotten
create table prescriptions (account_id uuid not null references accounts, id uuid primary key default gen_random_uuid(), drug text not null);
grant select, insert on prescriptions to authenticated;
-- hole: public.find_patient(uuid,text): the account is what the caller says
create function public.find_patient(account uuid, part text) returns setof patients language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select p.* from public.patients as p where p.account_id = account and p.name ilike '%' || part || '%' and auth.role() = 'authenticated' $$;
grant execute on function public.find_patient(uuid, text) to authenticated;
