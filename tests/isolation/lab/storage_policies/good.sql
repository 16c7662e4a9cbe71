create schema storage;
create table storage.objects (id uuid primary key, bucket_id text not null, name text not null, owner_id text);
alter table storage.objects enable row level security;
create policy read on storage.objects for select to authenticated
    using (bucket_id = 'exports' and owner_id = (select auth.uid())::text);
