-- Everybody may create their own tenant.
grant insert on app.orgs to authenticated;
create policy begin on app.orgs for insert to authenticated with check ((select auth.uid()) is not null);
