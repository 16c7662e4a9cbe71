create table app.profiles (id uuid primary key, name text not null, is_staff boolean not null default false);
alter table app.profiles enable row level security, force row level security;
create policy owner_all on app.profiles to lab_owner using (true) with check (true);
create policy see on app.profiles for select to authenticated using (id = (select auth.uid()));
create policy change on app.profiles for update to authenticated
    using (id = (select auth.uid())) with check (id = (select auth.uid()));
grant select on app.profiles to authenticated;
grant update (name, is_staff) on app.profiles to authenticated;
create function hidden.keep_staff() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if new.is_staff is distinct from old.is_staff then
        raise exception 'staff is for the service to name';
    end if;
    return new;
end $$;
revoke all on function hidden.keep_staff() from public;
create trigger keep_staff before update on app.profiles for each row execute function hidden.keep_staff();
drop policy see on app.comments;
create policy see on app.comments for select to authenticated
    using (org_id = any ((select hidden.orgs('guest'))::uuid[])
           or (select exists (select from app.profiles as p where p.id = auth.uid() and p.is_staff)));
