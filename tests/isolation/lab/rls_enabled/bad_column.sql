-- fires: app.orgs
alter table app.orgs disable row level security;
revoke all on app.orgs from authenticated;
grant select (name) on app.orgs to authenticated;
