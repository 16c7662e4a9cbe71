create table app.templates (org_id uuid not null references app.orgs (id), id uuid not null, body text, primary key (org_id, id));
alter table app.templates enable row level security, force row level security;
