create schema tenantry;
create table auth.users (id uuid primary key, email text, banned_until timestamptz);
create table tenantry.account (user_id uuid primary key);
revoke all on tenantry.account from public;
create function tenantry.mirror_account() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
    as $$ begin return null; end $$;
create function tenantry.account_in_step() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
    as $$ begin return null; end $$;
create function tenantry.account_gone() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
    as $$ begin return old; end $$;
create function tenantry.profile_email_in_step() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
    as $$ begin return null; end $$;
create function tenantry.retry_auth_events(most integer, hard boolean) returns integer language sql
    set search_path = pg_catalog, pg_temp as 'select 0';
revoke all on all functions in schema tenantry from public;
create trigger tenantry_mirror_account after insert or update or delete on auth.users
    for each row execute function tenantry.mirror_account();
create trigger tenantry_mirror_accounts after truncate on auth.users
    for each statement execute function tenantry.mirror_account();
grant execute on function tenantry.retry_auth_events(integer, boolean) to service_role;
create trigger tenantry_in_step after insert on auth.users for each row execute function tenantry.account_in_step();
create trigger tenantry_in_step_changed after update on auth.users
    for each row when (old.email is distinct from new.email) execute function tenantry.account_in_step();
create trigger tenantry_in_step_gone before delete on auth.users for each row execute function tenantry.account_gone();
create trigger tenantry_in_step after update on app.members
    for each row when (old.role is distinct from new.role) execute function tenantry.profile_email_in_step();
