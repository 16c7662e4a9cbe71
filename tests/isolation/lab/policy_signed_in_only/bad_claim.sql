-- fires: app.orgs
create policy list on app.orgs for select to authenticated using ((select auth.jwt() ->> 'role') = 'authenticated');
