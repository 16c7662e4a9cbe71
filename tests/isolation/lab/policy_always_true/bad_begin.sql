-- fires: app.orgs
grant insert on app.orgs to authenticated;
create policy begin on app.orgs for insert to authenticated with check (true);
