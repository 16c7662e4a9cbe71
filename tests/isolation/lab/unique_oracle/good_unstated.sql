create table app.invites (
    org_id uuid not null references app.orgs (id), id uuid not null default gen_random_uuid(),
    slip text not null default encode(sha256(gen_random_uuid()::text::bytea), 'hex') unique, primary key (org_id, id));
alter table app.invites enable row level security, force row level security;
create policy owner_all on app.invites to lab_owner using (true) with check (true);
create policy add on app.invites for insert to authenticated with check (org_id = any ((select hidden.orgs('boss'))::uuid[]));
grant insert (org_id) on app.invites to authenticated;
create table app.plans (org_id uuid primary key references app.orgs (id), customer text not null unique);
alter table app.plans enable row level security, force row level security;
create policy owner_all on app.plans to lab_owner using (true) with check (true);
create policy see on app.plans for select to authenticated using (org_id = any ((select hidden.orgs('guest'))::uuid[]));
grant select, insert, update on app.plans to authenticated;
