-- fires: app.labels
create table app.labels (name text primary key, colour text not null);
alter table app.labels enable row level security, force row level security;
grant select, insert on app.labels to authenticated;
create policy see on app.labels for select to authenticated using (true);
create policy add on app.labels for insert to authenticated with check ((select auth.uid()) is not null and name <> '');
