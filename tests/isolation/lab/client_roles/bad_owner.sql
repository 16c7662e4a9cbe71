-- fires: app.drafts
reset role;
create table app.drafts (org_id uuid not null references app.orgs (id), id uuid not null, primary key (org_id, id));
alter table app.drafts owner to authenticated;
