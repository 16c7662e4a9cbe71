-- fires: app.countries
create table app.countries (code text primary key);
alter table app.countries enable row level security, force row level security;
create policy see on app.countries for select to authenticated using (true);
grant select on app.countries to authenticated;
