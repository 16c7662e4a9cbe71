-- fires: auth.users
create schema tenantry;
create table auth.users (
    id uuid primary key default gen_random_uuid(), email text, raw_app_meta_data jsonb default '{"provider": "email"}', invited_at timestamptz,
    confirmation_sent_at timestamptz, created_at timestamptz, email_confirmed_at timestamptz, last_sign_in_at timestamptz);
create function tenantry.account_in_step() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
    as $$ begin return null; end $$;
revoke all on all functions in schema tenantry from public;
create trigger tenantry_in_step after insert on auth.users for each row execute function tenantry.account_in_step();
-- An address was confirmed by a message once; since then the setting has changed.
insert into auth.users (created_at, confirmation_sent_at, email_confirmed_at, last_sign_in_at)
values ('2020-01-01', '2020-01-01', '2020-01-02', '2020-01-02');
insert into auth.users (created_at, email_confirmed_at, last_sign_in_at)
values ('2020-02-01 10:00:00', '2020-02-01 10:00:00.1', '2020-02-01 10:00:00.2');
