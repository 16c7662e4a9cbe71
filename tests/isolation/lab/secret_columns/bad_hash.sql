-- fires: app.invitations.token_hash
create table app.invitations (org_id uuid not null references app.orgs (id), token_hash text not null, primary key (org_id, token_hash));
alter table app.invitations enable row level security, force row level security;
create policy see on app.invitations for select to authenticated using (org_id = any ((select hidden.orgs('boss'))::uuid[]));
grant select on app.invitations to authenticated;
