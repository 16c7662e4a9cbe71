-- A chat with models: everything is a person's, who may share it.
create table profiles (id uuid primary key references auth.users, username text not null unique, bio text, is_moderator boolean not null default false);
create table chats (
    id uuid primary key default gen_random_uuid(), user_id uuid not null references auth.users, name text not null,
    sharing text not null default 'private');
create table messages (
    id uuid primary key default gen_random_uuid(), user_id uuid not null references auth.users, chat_id uuid not null references chats on delete cascade,
    content text not null);
create table files (
    id uuid primary key default gen_random_uuid(), user_id uuid not null references auth.users, name text not null, sharing text not null default 'private');
create table chat_files (
    user_id uuid not null references auth.users, chat_id uuid not null references chats on delete cascade, file_id uuid not null references files on delete cascade,
    primary key (chat_id, file_id));
create table prompts (
    id uuid primary key default gen_random_uuid(), user_id uuid not null references auth.users, content text not null, sharing text not null default 'private');
create table reports (id uuid primary key default gen_random_uuid(), user_id uuid not null references auth.users, what text not null);
create policy own on profiles to authenticated using (id = (select auth.uid())) with check (id = (select auth.uid()));
create policy own on chats to authenticated using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy shared on chats for select to authenticated using (sharing <> 'private');
create policy own on messages to authenticated using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy shared on messages for select to authenticated
    using (chat_id = any (array(select c.id from chats as c where c.sharing <> 'private')));
create policy own on files to authenticated using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy shared on files for select to authenticated using (sharing <> 'private');
create policy own on chat_files to authenticated
    using (user_id = (select auth.uid()))
    with check (user_id = (select auth.uid())
                and file_id = any (array(select f.id from files as f where f.user_id = (select auth.uid())))
                and chat_id = any (array(select c.id from chats as c where c.user_id = (select auth.uid()))));
create policy own on prompts to authenticated using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy shared on prompts for select to authenticated using (sharing <> 'private');
create policy own on reports to authenticated using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create function public.delete_messages_after(message uuid) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    delete from public.messages as m using public.messages as first
     where first.id = message and first.user_id = auth.uid() and m.chat_id = first.chat_id and m.user_id = first.user_id;
end $$;
create function public.my_usage() returns bigint language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select count(*) from public.messages as m where m.user_id = auth.uid() $$;
grant execute on all functions in schema public to authenticated;
insert into profiles (id, username) select id, email from auth.users;
insert into chats (user_id, name) select id, 'Chat' from auth.users;
insert into messages (user_id, chat_id, content) select user_id, id, 'hello' from chats;
insert into files (user_id, name) select id, 'a.pdf' from auth.users;
insert into chat_files select c.user_id, c.id, f.id from chats as c join files as f on f.user_id = c.user_id;
insert into prompts (user_id, content) select id, 'You are' from auth.users;
insert into reports (user_id, what) select id, 'spam' from auth.users;
-- hole: public.files: a link that its maker may hang on anybody's file opens it
drop policy own on chat_files;
create policy own on chat_files to authenticated using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy of_shared_chats on files for select to authenticated
    using (id in (select cf.file_id from chat_files as cf join chats as c on c.id = cf.chat_id where c.sharing <> 'private'));
-- hole: public.reports: who makes themselves a moderator reads all reports
create policy moderators on reports for select to authenticated
    using ((select exists (select from profiles as p where p.id = (select auth.uid()) and p.is_moderator)));
-- hole: public.usage_of(uuid): the caller is a default, which the caller states
create function public.usage_of(who uuid default auth.uid()) returns bigint language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select count(*) from public.messages as m where m.user_id = who $$;
grant execute on function public.usage_of(uuid) to authenticated;
