create table app.templates (id uuid primary key, org_id uuid not null references app.orgs (id), body text);
create index on app.templates (org_id);
alter table app.templates enable row level security, force row level security;
