-- fires: app.drafts
create table app.drafts (org_id uuid not null references app.orgs (id), id uuid not null, primary key (org_id, id));
alter table app.drafts enable row level security, force row level security;
create policy see on app.drafts as restrictive for select to authenticated
    using (org_id = any ((select hidden.orgs('guest'))::uuid[]));
grant select on app.drafts to authenticated;
