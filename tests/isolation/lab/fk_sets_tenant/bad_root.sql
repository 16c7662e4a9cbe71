-- fires: app.templates
create table app.templates (id uuid primary key, org_id uuid references app.orgs (id) on delete set null, body text);
create index on app.templates (org_id);
alter table app.templates enable row level security, force row level security;
