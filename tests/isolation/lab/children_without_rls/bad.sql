-- fires: app.events_2025
create table app.events (org_id uuid not null references app.orgs (id), at date not null, primary key (org_id, at))
    partition by range (at);
create table app.events_2025 partition of app.events for values from ('2025-01-01') to ('2026-01-01');
alter table app.events enable row level security, force row level security;
create policy see on app.events for select to authenticated using (org_id = any ((select hidden.orgs('guest'))::uuid[]));
grant select on all tables in schema app to authenticated;
