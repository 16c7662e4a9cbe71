-- fires: app.comments
create table app.profiles (id uuid primary key, name text not null, is_staff boolean not null default false);
alter table app.profiles enable row level security, force row level security;
create policy owner_all on app.profiles to lab_owner using (true) with check (true);
create policy see on app.profiles for select to authenticated using (id = (select auth.uid()));
create policy change on app.profiles for update to authenticated
    using (id = (select auth.uid())) with check (id = (select auth.uid()));
grant select on app.profiles to authenticated;
grant update (name, is_staff) on app.profiles to authenticated;
drop policy see on app.comments;
create policy see on app.comments for select to authenticated
    using (org_id = any ((select hidden.orgs('guest'))::uuid[])
           or (select exists (select from app.profiles as p where p.id = auth.uid() and p.is_staff)));
