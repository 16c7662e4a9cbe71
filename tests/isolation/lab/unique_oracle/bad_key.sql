-- fires: app.slugs
create table app.slugs (slug text primary key, org_id uuid not null references app.orgs (id));
create index on app.slugs (org_id);
alter table app.slugs enable row level security, force row level security;
create policy add on app.slugs for insert to authenticated with check (org_id = any ((select hidden.orgs('boss'))::uuid[]));
grant insert on app.slugs to authenticated;
