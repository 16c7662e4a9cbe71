-- fires: app.templates.org_id
create table app.templates (org_id uuid not null, id uuid not null, body text, primary key (org_id, id));
alter table app.templates enable row level security, force row level security;
