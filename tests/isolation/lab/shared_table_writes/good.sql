create table app.labels (user_id uuid not null, name text not null, colour text not null, primary key (user_id, name));
alter table app.labels enable row level security, force row level security;
grant select, insert on app.labels to authenticated;
create policy see on app.labels for select to authenticated using (user_id = (select auth.uid()));
create policy add on app.labels for insert to authenticated with check (user_id = (select auth.uid()));
