-- fires: app.templates
create table app.templates (id uuid primary key, org_id uuid not null references app.orgs (id), body text);
alter table app.templates enable row level security, force row level security;
