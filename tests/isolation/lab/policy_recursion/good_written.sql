-- What is asked of a row that is written is not asked of one that is read.
create table app.files (id uuid primary key default gen_random_uuid(), user_id uuid not null);
create table app.shown (user_id uuid not null, file_id uuid not null references app.files (id), primary key (user_id, file_id));
alter table app.files enable row level security, force row level security;
alter table app.shown enable row level security, force row level security;
create policy owner_all on app.files to lab_owner using (true) with check (true);
create policy owner_all on app.shown to lab_owner using (true) with check (true);
create policy see on app.files for select to authenticated
    using (user_id = (select auth.uid()) or id = any (array(select s.file_id from app.shown as s)));
create policy own on app.shown to authenticated using (user_id = (select auth.uid()))
    with check (user_id = (select auth.uid()) and file_id = any (array(select f.id from app.files as f where f.user_id = (select auth.uid()))));
grant select on app.files to authenticated;
grant select, insert on app.shown to authenticated;
