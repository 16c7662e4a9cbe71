-- A schema auth as Supabase Auth has it, for servers without a Supabase. Only made where there is no auth.users.
-- The nil UUID as instance_id, empty strings and never null in token columns: what official clients and servers expect.

create schema if not exists auth;
comment on schema auth is 'Accounts, compatible with Supabase Auth; made by Tenantry, since this server has no Supabase.';
revoke all on schema auth from public;

create table auth.users (
    instance_id                 uuid default '00000000-0000-0000-0000-000000000000',
    id                          uuid not null primary key,
    aud                         varchar(255) default 'authenticated',
    role                        varchar(255) default 'authenticated',
    email                       varchar(255),
    encrypted_password          varchar(255) default '',
    email_confirmed_at          timestamptz,
    invited_at                  timestamptz,
    confirmation_token          varchar(255) default '',
    confirmation_sent_at        timestamptz,
    recovery_token              varchar(255) default '',
    recovery_sent_at            timestamptz,
    email_change_token_new      varchar(255) default '',
    email_change                varchar(255) default '',
    email_change_sent_at        timestamptz,
    last_sign_in_at             timestamptz,
    raw_app_meta_data           jsonb default '{}',
    raw_user_meta_data          jsonb default '{}',
    is_super_admin              boolean,
    created_at                  timestamptz default now(),
    updated_at                  timestamptz default now(),
    phone                       text unique,
    phone_confirmed_at          timestamptz,
    phone_change                text default '',
    phone_change_token          varchar(255) default '',
    phone_change_sent_at        timestamptz,
    confirmed_at                timestamptz generated always as (least(email_confirmed_at, phone_confirmed_at)) stored,
    email_change_token_current  varchar(255) default '',
    email_change_confirm_status smallint default 0 check (email_change_confirm_status between 0 and 2),
    banned_until                timestamptz,
    reauthentication_token      varchar(255) default '',
    reauthentication_sent_at    timestamptz,
    is_sso_user                 boolean not null default false,
    deleted_at                  timestamptz,
    is_anonymous                boolean not null default false
);
create unique index users_email_partial_key on auth.users (email) where not is_sso_user;
alter table auth.users enable row level security;
comment on table auth.users is 'Auth: user login data.';

create table auth.identities (
    id              uuid not null default gen_random_uuid() primary key,
    provider_id     text not null,
    user_id         uuid not null references auth.users (id) on delete cascade,
    identity_data   jsonb not null,
    provider        text not null,
    last_sign_in_at timestamptz,
    created_at      timestamptz,
    updated_at      timestamptz,
    email           text generated always as (lower(identity_data ->> 'email')) stored,
    constraint identities_provider_id_provider_unique unique (provider_id, provider)
);
create index identities_user_id_idx on auth.identities (user_id);
create index identities_email_idx on auth.identities (email text_pattern_ops);
alter table auth.identities enable row level security;
comment on table auth.identities is 'Auth: how a user signs in.';

-- An empty setting is null: after a commit, local settings read as '' rather than null.
create function auth.uid() returns uuid
    language sql stable parallel safe set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid
$$;

create function auth.role() returns text
    language sql stable parallel safe set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.role', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role')
$$;

create function auth.email() returns text
    language sql stable parallel safe set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.email', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email')
$$;

create function auth.jwt() returns jsonb
    language sql stable parallel safe set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim', true), ''),
        nullif(current_setting('request.jwt.claims', true), ''))::jsonb
$$;
