-- Notes in workspaces of one person each.
-- true: client_column_rights
create table profiles (id uuid primary key references auth.users, display_name text not null);
create table workspaces (id uuid primary key default gen_random_uuid(), owner_id uuid not null references auth.users, name text not null);
create table folders (
    id uuid primary key default gen_random_uuid(), workspace_id uuid not null references workspaces on delete cascade, name text not null,
    unique (workspace_id, id));
create table pages (
    id uuid primary key default gen_random_uuid(), workspace_id uuid not null references workspaces on delete cascade,
    folder_id uuid, title text not null, body text, unique (workspace_id, id),
    foreign key (workspace_id, folder_id) references folders (workspace_id, id));
create table attachments (
    id uuid primary key default gen_random_uuid(), workspace_id uuid not null references workspaces on delete cascade,
    page_id uuid not null, path text not null, foreign key (workspace_id, page_id) references pages (workspace_id, id));
create table comments (
    id uuid primary key default gen_random_uuid(), workspace_id uuid not null references workspaces on delete cascade,
    page_id uuid not null, body text not null, foreign key (workspace_id, page_id) references pages (workspace_id, id));
create index on workspaces (owner_id);
create index on folders (workspace_id);
create index on pages (workspace_id);
create index on attachments (workspace_id);
create index on comments (workspace_id);
create function private.my_workspaces() returns uuid[] language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(array_agg(w.id), '{}') from public.workspaces as w where w.owner_id = auth.uid() $$;
create policy own on profiles for select to authenticated using (id = (select auth.uid()));
create policy rename on profiles for update to authenticated using (id = (select auth.uid())) with check (id = (select auth.uid()));
create policy own on workspaces to authenticated using (owner_id = (select auth.uid())) with check (owner_id = (select auth.uid()));
create policy own on folders to authenticated
    using (workspace_id = any ((select private.my_workspaces())::uuid[])) with check (workspace_id = any ((select private.my_workspaces())::uuid[]));
create policy own on pages to authenticated
    using (workspace_id = any ((select private.my_workspaces())::uuid[])) with check (workspace_id = any ((select private.my_workspaces())::uuid[]));
create policy own on attachments to authenticated
    using (workspace_id = any ((select private.my_workspaces())::uuid[])) with check (workspace_id = any ((select private.my_workspaces())::uuid[]));
create policy own on comments to authenticated
    using (workspace_id = any ((select private.my_workspaces())::uuid[])) with check (workspace_id = any ((select private.my_workspaces())::uuid[]));
create function public.page_count(workspace uuid) returns bigint language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select count(*) from public.pages as p join public.workspaces as w on w.id = p.workspace_id
     where p.workspace_id = workspace and w.owner_id = auth.uid() $$;
create function public.duplicate_page(page uuid) returns uuid language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    original public.pages%rowtype;
    copied uuid;
begin
    select p.* into original from public.pages as p where p.id = page;
    if not (original.workspace_id = any (private.my_workspaces())) then
        raise exception 'no such page';
    end if;
    insert into public.pages (workspace_id, folder_id, title, body)
    values (original.workspace_id, original.folder_id, original.title || ' (copy)', original.body) returning id into copied;
    return copied;
end $$;
grant execute on function public.page_count(uuid), public.duplicate_page(uuid) to authenticated;
insert into profiles select id, 'Somebody' from auth.users;
insert into workspaces (owner_id, name) select id, 'Mine' from auth.users;
insert into folders (workspace_id, name) select id, 'Inbox' from workspaces;
insert into pages (workspace_id, folder_id, title) select workspace_id, id, 'First' from folders;
insert into attachments (workspace_id, page_id, path) select workspace_id, id, 'a.png' from pages;
insert into comments (workspace_id, page_id, body) select workspace_id, id, 'fine' from pages;
-- hole: public.page_text(uuid): a row by its id, whosever it is
create function public.page_text(page uuid) returns text language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
    if auth.uid() is null then
        raise exception 'sign in first';
    end if;
    return (select p.body from public.pages as p where p.id = page);
end $$;
grant execute on function public.page_text(uuid) to authenticated;
-- hole: public.attachments: asks whether the caller has any workspace
drop policy own on attachments;
create policy own on attachments for select to authenticated
    using (exists (select from workspaces as w where w.owner_id = (select auth.uid())));
-- hole: public.comments: the inner table's own column
drop policy own on comments;
create policy own on comments for select to authenticated
    using (exists (select from pages as p join workspaces as w on w.id = p.workspace_id where p.id = page_id and w.owner_id = w.owner_id));
