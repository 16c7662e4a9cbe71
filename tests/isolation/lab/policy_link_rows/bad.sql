-- fires: app.files
create table app.files (
    id uuid primary key default gen_random_uuid(), user_id uuid not null, body text);
create table app.album_files (
    user_id uuid not null, file_id uuid not null references app.files (id), shared boolean not null default false, primary key (user_id, file_id));
alter table app.files enable row level security, force row level security;
alter table app.album_files enable row level security, force row level security;
create policy owner_all on app.files to lab_owner using (true) with check (true);
create policy owner_all on app.album_files to lab_owner using (true) with check (true);
create policy see on app.files for select to authenticated
    using (user_id = (select auth.uid()) or id = any (array(select f.file_id from app.album_files as f where f.shared)));
create policy see on app.album_files for select to authenticated using (user_id = (select auth.uid()) or shared);
grant select on app.files to authenticated;
grant select, insert on app.album_files to authenticated;
create policy add on app.album_files for insert to authenticated with check (user_id = (select auth.uid()));
