-- Sites with editors; what is published is for everybody.
-- true: policy_slow_select
create table sites (id uuid primary key default gen_random_uuid(), name text not null);
create table editors (site_id uuid not null references sites on delete cascade, user_id uuid not null references auth.users, level int not null default 1, primary key (site_id, user_id));
create table posts (
    site_id uuid not null references sites on delete cascade, id uuid not null default gen_random_uuid(), title text not null, body text,
    published boolean not null default false, primary key (site_id, id));
create table revisions (
    site_id uuid not null references sites on delete cascade, id uuid not null default gen_random_uuid(), post_id uuid not null, body text,
    primary key (site_id, id), foreign key (site_id, post_id) references posts (site_id, id) on delete cascade);
create table media (
    site_id uuid not null references sites on delete cascade, id uuid not null default gen_random_uuid(), path text not null, primary key (site_id, id));
create table themes (id int primary key, name text not null);
create function private.edited() returns setof uuid language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select e.site_id from public.editors as e where e.user_id = auth.uid() $$;
create policy see on sites for select to authenticated using (id in (select private.edited()));
create policy see on editors for select to authenticated using (site_id in (select private.edited()));
create policy see on posts for select to authenticated using (site_id in (select private.edited()));
create policy add on posts for insert to authenticated with check (site_id in (select private.edited()));
create policy change on posts for update to authenticated using (site_id in (select private.edited())) with check (site_id in (select private.edited()));
create policy see on revisions for select to authenticated using (site_id in (select private.edited()));
create policy see on media for select to authenticated using (site_id in (select private.edited()));
create policy see on themes for select to anon, authenticated using (true);
create function public.published_posts(site uuid) returns table (title text, body text) language sql stable set search_path = pg_catalog, pg_temp as $$
    select p.title, p.body from public.posts as p where p.site_id = site and p.published $$;
create function public.publish(site uuid, post uuid) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform from public.editors as e where e.site_id = site and e.user_id = auth.uid() and e.level >= 2;
    if not found then
        raise exception 'not for you';
    end if;
    update public.posts as p set published = true where p.site_id = site and p.id = post;
end $$;
grant execute on all functions in schema public to authenticated;
insert into sites (name) values ('North'), ('South');
insert into editors select s.id, u.id, 2 from sites as s join auth.users as u on (s.name = 'North') = (u.email < 'person3');
insert into posts (site_id, title) select id, 'Draft' from sites;
insert into revisions (site_id, post_id, body) select site_id, id, 'old' from posts;
insert into media (site_id, path) select id, 'a.png' from sites;
insert into themes values (1, 'plain');
-- hole: public.revisions: an editor of anything reads all revisions
drop policy see on revisions;
create policy see on revisions for select to authenticated using (exists (select from editors as e where e.user_id = (select auth.uid()) and e.site_id = site_id));
-- hole: public.media: sites from the token, which holds after an editor has left
drop policy see on media;
create policy see on media for select to authenticated
    using (site_id = any ((select array(select jsonb_array_elements_text(auth.jwt() -> 'app_metadata' -> 'sites')::uuid))::uuid[]));
-- hole: public.posts: a post can be moved into another site
drop policy change on posts;
create policy change on posts for update to authenticated using (site_id in (select private.edited())) with check (title <> '');
