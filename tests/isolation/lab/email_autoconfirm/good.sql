create schema tenantry;
create table auth.users (
    id uuid primary key default gen_random_uuid(), email text, raw_app_meta_data jsonb default '{"provider": "email"}', invited_at timestamptz,
    confirmation_sent_at timestamptz, created_at timestamptz, email_confirmed_at timestamptz, last_sign_in_at timestamptz);
create function tenantry.account_in_step() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
    as $$ begin return null; end $$;
revoke all on all functions in schema tenantry from public;
create trigger tenantry_in_step after insert on auth.users for each row execute function tenantry.account_in_step();
insert into auth.users (created_at, email_confirmed_at, last_sign_in_at)
values ('2020-02-01 10:00:00', '2020-02-01 10:00:00.1', '2020-02-01 10:00:00.2');
-- The setting was put right: the newest account was sent a message. Others come from a provider, an invitation, or were made by the service.
insert into auth.users (created_at, confirmation_sent_at) values ('2020-03-01', '2020-03-01');
insert into auth.users (raw_app_meta_data, created_at, email_confirmed_at, last_sign_in_at)
values ('{"provider": "google"}', '2020-04-01', '2020-04-01', '2020-04-01');
insert into auth.users (invited_at, created_at, email_confirmed_at, last_sign_in_at) values ('2020-04-01', '2020-04-01', '2020-04-01', '2020-04-01');
insert into auth.users (created_at, email_confirmed_at, last_sign_in_at) values ('2020-04-02', '2020-04-02', '2020-04-07');
