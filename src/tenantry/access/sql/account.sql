-- A mirror of the relevant facts in auth.users: policies and the functions that they call never read auth.

create table if not exists tenantry.account (
    user_id      uuid    primary key,
    is_super     boolean not null default false,
    banned_until timestamptz,
    deleted_at   timestamptz,
    forgotten_at timestamptz
);
alter table tenantry.account add column if not exists forgotten_at timestamptz;
comment on table tenantry.account is 'Mirror of auth.users, maintained by trigger: who is super admin, banned or deleted.';
comment on column tenantry.account.forgotten_at is
    'Since when the account counts as deleted, though Supabase Auth has not deleted it yet: see tenantry.forget_person().';
comment on column tenantry.account.is_super is 'From app_metadata, which no user can edit; never from user_metadata.';
revoke all on tenantry.account from public;

-- SECURITY DEFINER, since the account service, which writes auth.users, has no rights here.
create or replace function tenantry.mirror_account() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'TRUNCATE' then
        delete from tenantry.account;
        return null;
    end if;
    if tg_op = 'DELETE' or (tg_op = 'UPDATE' and new.id <> old.id) then
        delete from tenantry.account as a where a.user_id = old.id;
    end if;
    if tg_op <> 'DELETE' then
        insert into tenantry.account as a (user_id, is_super, banned_until, deleted_at)
        values (new.id, coalesce(new.raw_app_meta_data ->> 'super_admin' = 'true', false), new.banned_until, new.deleted_at)
        on conflict (user_id) do update
           set is_super = excluded.is_super, banned_until = excluded.banned_until, deleted_at = excluded.deleted_at,
               -- A deleted account that exists again was restored on purpose.
               forgotten_at = case when a.deleted_at is null or excluded.deleted_at is not null then a.forgotten_at end
         where (a.is_super, a.banned_until, a.deleted_at)
               is distinct from (excluded.is_super, excluded.banned_until, excluded.deleted_at);
    end if;
    return null;
end
$$;
comment on function tenantry.mirror_account() is 'Trigger that copies changes of auth.users into tenantry.account.';
revoke all on function tenantry.mirror_account() from public;

create or replace trigger tenantry_mirror_account after insert or update or delete on auth.users
    for each row execute function tenantry.mirror_account();
create or replace trigger tenantry_mirror_accounts after truncate on auth.users
    for each statement execute function tenantry.mirror_account();

-- Also while ordinary triggers are off (session_replication_role = replica); only the table's owner may set this.
do $$
begin
    if pg_has_role((select c.relowner from pg_class as c where c.oid = 'auth.users'::regclass), 'USAGE') then
        alter table auth.users enable always trigger tenantry_mirror_account;
        alter table auth.users enable always trigger tenantry_mirror_accounts;
    end if;
end
$$;

-- Accounts from before the triggers, and changes while a trigger was missing.
delete from tenantry.account as a where not exists (select from auth.users as u where u.id = a.user_id);
insert into tenantry.account as a (user_id, is_super, banned_until, deleted_at)
select u.id, coalesce(u.raw_app_meta_data ->> 'super_admin' = 'true', false), u.banned_until, u.deleted_at
  from auth.users as u
on conflict (user_id) do update
   set is_super = excluded.is_super, banned_until = excluded.banned_until, deleted_at = excluded.deleted_at;
