-- fires: app.people
create table app.people (id uuid primary key, name text not null, phone text);
alter table app.people enable row level security, force row level security;
create policy owner_all on app.people to lab_owner using (true) with check (true);
create policy see on app.people for select to authenticated
    using ((select exists (select from app.members as m where m.org_id = any (hidden.orgs('guest')))));
grant select (id, name) on app.people to authenticated;
