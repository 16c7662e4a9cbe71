-- Schema auth as in Supabase Auth, for servers without Supabase. Only created if there is no auth.users.
-- instance_id is the nil UUID, and token columns hold empty strings, never null: official clients and servers expect this.
-- Repeatable as one script: completes a schema that an earlier version created, and rejects one that another system created.

do $$
declare
    marker constant text := 'Accounts, compatible with Supabase Auth; made by Tenantry, since this server has no Supabase.';
begin
    if to_regnamespace('auth') is null then
        create schema auth;
        execute format('comment on schema auth is %L', marker);
    elsif obj_description(to_regnamespace('auth'), 'pg_namespace') is distinct from marker then
        raise exception 'schema auth exists, and Tenantry did not make it'
            using errcode = 'duplicate_schema',
                  hint = 'A Supabase has its accounts in auth.users, and is used as it stands. Another schema of this name must '
                         'go first: rename it (alter schema auth rename to …), or drop it if it is a leftover.';
    end if;
    -- Existing objects keep their grants; see the end of this file.
    perform set_config(
        'tenantry.auth_before',
        (select coalesce(string_agg(relname, ','), '') from pg_class where relnamespace = to_regnamespace('auth')),
        false);
end
$$;
revoke all on schema auth from public;

-- types ------------------------------------------------------------------------------------------------------------------

do $$
declare
    wanted record;
begin
    for wanted in
        select *
          from (values
                ('aal_level',             '{aal1,aal2,aal3}'::text[]),
                ('code_challenge_method', '{s256,plain}'),
                ('factor_status',         '{unverified,verified}'),
                ('factor_type',           '{totp,webauthn,phone}'),
                ('one_time_token_type',   '{confirmation_token,reauthentication_token,recovery_token,email_change_token_new,'
                                          'email_change_token_current,phone_change_token}')
               ) as t (name, labels)
         where to_regtype('auth.' || t.name) is null
    loop
        execute format(
            'create type auth.%I as enum (%s)', wanted.name,
            (select string_agg(quote_literal(label), ', ' order by place) from unnest(wanted.labels) with ordinality as l (label, place)));
    end loop;
end
$$;

-- users and how they sign in -------------------------------------------------------------------------------------------------

create table if not exists auth.users (
    instance_id                 uuid default '00000000-0000-0000-0000-000000000000',
    id                          uuid not null primary key,
    aud                         varchar(255) default 'authenticated',
    role                        varchar(255) default 'authenticated',
    email                       varchar(255),
    encrypted_password          varchar(255) default '',
    email_confirmed_at          timestamptz,
    invited_at                  timestamptz,
    confirmation_token          varchar(255) not null default '',
    confirmation_sent_at        timestamptz,
    recovery_token              varchar(255) not null default '',
    recovery_sent_at            timestamptz,
    email_change_token_new      varchar(255) not null default '',
    email_change                varchar(255) not null default '',
    email_change_sent_at        timestamptz,
    last_sign_in_at             timestamptz,
    raw_app_meta_data           jsonb default '{}',
    raw_user_meta_data          jsonb default '{}',
    is_super_admin              boolean,
    created_at                  timestamptz default now(),
    updated_at                  timestamptz default now(),
    phone                       text unique,
    phone_confirmed_at          timestamptz,
    phone_change                text not null default '',
    phone_change_token          varchar(255) not null default '',
    phone_change_sent_at        timestamptz,
    confirmed_at                timestamptz generated always as (least(email_confirmed_at, phone_confirmed_at)) stored,
    email_change_token_current  varchar(255) not null default '',
    email_change_confirm_status smallint default 0 check (email_change_confirm_status between 0 and 2),
    banned_until                timestamptz,
    reauthentication_token      varchar(255) not null default '',
    reauthentication_sent_at    timestamptz,
    is_sso_user                 boolean not null default false,
    deleted_at                  timestamptz,
    is_anonymous                boolean not null default false
);
comment on table auth.users is 'Auth: user login data.';

-- An earlier version allowed nulls in token columns.
do $$
declare
    loose text;
begin
    for loose in
        select attname
          from pg_attribute
         where attrelid = 'auth.users'::regclass and not attnotnull
           and attname in ('confirmation_token', 'recovery_token', 'email_change_token_new', 'email_change', 'phone_change',
                           'phone_change_token', 'email_change_token_current', 'reauthentication_token')
    loop
        execute format('update auth.users set %1$I = '''' where %1$I is null', loose);
        execute format('alter table auth.users alter column %I set not null', loose);
    end loop;
end
$$;

create unique index if not exists users_email_partial_key on auth.users (email) where not is_sso_user;
create index if not exists users_instance_id_idx on auth.users (instance_id);
create index if not exists users_instance_id_email_idx on auth.users (instance_id, lower(email));
create index if not exists users_is_anonymous_idx on auth.users (is_anonymous);
-- Numeric codes can be equal by chance, so they are looked up together with their user; other tokens are unique.
create unique index if not exists confirmation_token_idx on auth.users (confirmation_token) where confirmation_token !~ '^[0-9 ]*$';
create unique index if not exists recovery_token_idx on auth.users (recovery_token) where recovery_token !~ '^[0-9 ]*$';
create unique index if not exists email_change_token_current_idx
    on auth.users (email_change_token_current) where email_change_token_current !~ '^[0-9 ]*$';
create unique index if not exists email_change_token_new_idx
    on auth.users (email_change_token_new) where email_change_token_new !~ '^[0-9 ]*$';
create unique index if not exists reauthentication_token_idx
    on auth.users (reauthentication_token) where reauthentication_token !~ '^[0-9 ]*$';

create table if not exists auth.identities (
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
create index if not exists identities_user_id_idx on auth.identities (user_id);
create index if not exists identities_email_idx on auth.identities (email text_pattern_ops);
comment on table auth.identities is 'Auth: how a user signs in.';

create table if not exists auth.mfa_factors (
    id                           uuid not null primary key,
    user_id                      uuid not null references auth.users (id) on delete cascade,
    friendly_name                text,
    factor_type                  auth.factor_type not null,
    status                       auth.factor_status not null,
    created_at                   timestamptz not null,
    updated_at                   timestamptz not null,
    secret                       text,
    phone                        text,
    last_challenged_at           timestamptz unique,
    web_authn_credential         jsonb,
    web_authn_aaguid             uuid,
    last_webauthn_challenge_data jsonb
);
create index if not exists mfa_factors_user_id_idx on auth.mfa_factors (user_id);
create index if not exists factor_id_created_at_idx on auth.mfa_factors (user_id, created_at);
create unique index if not exists mfa_factors_user_friendly_name_unique
    on auth.mfa_factors (friendly_name, user_id) where trim(both from friendly_name) <> '';
create unique index if not exists unique_phone_factor_per_user on auth.mfa_factors (user_id, phone);
comment on table auth.mfa_factors is 'Auth: second factors of users.';

create table if not exists auth.mfa_challenges (
    id                     uuid not null primary key,
    factor_id              uuid not null,
    created_at             timestamptz not null,
    verified_at            timestamptz,
    ip_address             inet not null,
    otp_code               text,
    web_authn_session_data jsonb,
    constraint mfa_challenges_auth_factor_id_fkey foreign key (factor_id) references auth.mfa_factors (id) on delete cascade
);
create index if not exists mfa_challenge_created_at_idx on auth.mfa_challenges (created_at desc);
comment on table auth.mfa_challenges is 'Auth: challenges sent to second factors.';

-- sessions -------------------------------------------------------------------------------------------------------------------

create table if not exists auth.sessions (
    id                     uuid not null primary key,
    user_id                uuid not null references auth.users (id) on delete cascade,
    created_at             timestamptz,
    updated_at             timestamptz,
    factor_id              uuid,
    aal                    auth.aal_level,
    not_after              timestamptz,
    refreshed_at           timestamp,
    user_agent             text,
    ip                     inet,
    tag                    text,
    oauth_client_id        uuid,
    refresh_token_hmac_key text,
    refresh_token_counter  bigint,
    scopes                 text,
    constraint sessions_scopes_length check (char_length(scopes) <= 4096)
);
create index if not exists sessions_user_id_idx on auth.sessions (user_id);
create index if not exists user_id_created_at_idx on auth.sessions (user_id, created_at);
create index if not exists sessions_not_after_idx on auth.sessions (not_after desc);
create index if not exists sessions_oauth_client_id_idx on auth.sessions (oauth_client_id);
comment on table auth.sessions is 'Auth: sign-ins and their devices.';
comment on column auth.sessions.not_after is 'The session expires at this time; null: it does not expire on its own.';

create table if not exists auth.mfa_amr_claims (
    session_id            uuid not null references auth.sessions (id) on delete cascade,
    created_at            timestamptz not null,
    updated_at            timestamptz not null,
    authentication_method text not null,
    id                    uuid not null,
    constraint amr_id_pk primary key (id),
    constraint mfa_amr_claims_session_id_authentication_method_pkey unique (session_id, authentication_method)
);
comment on table auth.mfa_amr_claims is 'Auth: the methods by which the user of a session authenticated.';

create table if not exists auth.refresh_tokens (
    instance_id uuid default '00000000-0000-0000-0000-000000000000',
    id          bigserial primary key,
    token       varchar(255),
    user_id     varchar(255),
    revoked     boolean,
    created_at  timestamptz,
    updated_at  timestamptz,
    parent      varchar(255),
    session_id  uuid references auth.sessions (id) on delete cascade,
    constraint refresh_tokens_token_unique unique (token)
);
create index if not exists refresh_tokens_instance_id_idx on auth.refresh_tokens (instance_id);
create index if not exists refresh_tokens_instance_id_user_id_idx on auth.refresh_tokens (instance_id, user_id);
create index if not exists refresh_tokens_parent_idx on auth.refresh_tokens (parent);
create index if not exists refresh_tokens_session_id_revoked_idx on auth.refresh_tokens (session_id, revoked);
create index if not exists refresh_tokens_updated_at_idx on auth.refresh_tokens (updated_at desc);
comment on table auth.refresh_tokens is 'Auth: tokens that renew a session, each used once.';

create table if not exists auth.one_time_tokens (
    id         uuid not null primary key,
    user_id    uuid not null references auth.users (id) on delete cascade,
    token_type auth.one_time_token_type not null,
    token_hash text not null check (char_length(token_hash) > 0),
    relates_to text not null,
    created_at timestamp not null default now(),
    updated_at timestamp not null default now()
);
create unique index if not exists one_time_tokens_user_id_token_type_key on auth.one_time_tokens (user_id, token_type);
create index if not exists one_time_tokens_token_hash_hash_idx on auth.one_time_tokens using hash (token_hash);
create index if not exists one_time_tokens_relates_to_hash_idx on auth.one_time_tokens using hash (relates_to);
comment on table auth.one_time_tokens is 'Auth: hashes of tokens sent by e-mail and not used yet.';

create table if not exists auth.flow_state (
    id                     uuid not null primary key,
    user_id                uuid,
    auth_code              text,
    code_challenge_method  auth.code_challenge_method,
    code_challenge         text,
    provider_type          text not null,
    provider_access_token  text,
    provider_refresh_token text,
    created_at             timestamptz,
    updated_at             timestamptz,
    authentication_method  text not null,
    auth_code_issued_at    timestamptz,
    invite_token           text,
    referrer               text,
    oauth_client_state_id  uuid,
    linking_target_id      uuid,
    email_optional         boolean not null default false
);
create index if not exists flow_state_created_at_idx on auth.flow_state (created_at desc);
create index if not exists idx_auth_code on auth.flow_state (auth_code);
create index if not exists idx_user_id_auth_method on auth.flow_state (user_id, authentication_method);
comment on table auth.flow_state is 'Auth: sign-ins in progress (PKCE).';

create table if not exists auth.audit_log_entries (
    instance_id uuid default '00000000-0000-0000-0000-000000000000',
    id          uuid not null primary key,
    payload     json,
    created_at  timestamptz,
    ip_address  varchar(64) not null default ''
);
create index if not exists audit_logs_instance_id_idx on auth.audit_log_entries (instance_id);
comment on table auth.audit_log_entries is 'Auth: actions of users and administrators on accounts.';

-- privileges: the owner alone. Row security is on and there are no policies; default privileges of the database are revoked.

do $$
declare
    made  record;
    given text;
begin
    for made in
        select c.oid::regclass as relation, case c.relkind when 'S' then 'sequence' else 'table' end as kind, c.relacl, c.relowner,
               c.relkind = 'r' and not c.relrowsecurity as is_open, c.relforcerowsecurity as is_forced,
               c.relname <> all (string_to_array(coalesce(current_setting('tenantry.auth_before', true), ''), ',')) as is_new
          from pg_class as c
         where c.relnamespace = 'auth'::regnamespace and c.relkind in ('r', 'S')
    loop
        if made.is_open then
            execute format('alter table %s enable row level security', made.relation);
        end if;
        if made.is_new and made.is_forced then
            execute format('alter table %s no force row level security', made.relation);
        end if;
        for given in
            select distinct case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end
              from aclexplode(made.relacl) as a
             where a.grantee <> made.relowner and made.is_new
        loop
            execute format('revoke all on %s %s from %s', made.kind, made.relation, given);
        end loop;
    end loop;
    perform set_config('tenantry.auth_before', '', false);
end
$$;

-- the current caller ---------------------------------------------------------------------------------------------------------
-- Function bodies are bound when they are created, so that policies can call them for roles without access to schema auth,
-- and so that no name in them can be shadowed.

create or replace function auth.tenantry_json(given text) returns jsonb
    language plpgsql stable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
declare
    blank constant text := '[ \t\n\r]*';
    value constant text := '(?:""|true|false|null|-?(?:0|[1-9][0-9]{0,99})(?:[.][0-9]{1,99})?(?:[eE][+-]?[0-9]{1,3})?)';
    member constant text := '""' || blank || ':' || blank || value || blank;
    element constant text := value || blank;
    rest text;
    reduced text;
begin
    if given is null or given = '' or length(given) > 16384 then
        return null;
    end if;
    if current_setting('server_version_num')::integer >= 160000 then
        return case when pg_input_is_valid(given, 'jsonb') then given::jsonb end;
    end if;
    -- The same method as in tenantry.claims(): PostgreSQL 15 can check JSON only by failing, and a failure cannot be caught
    -- in a parallel plan. So every string is replaced with "", then arrays and objects of scalars with null, from the inside
    -- out.
    rest := regexp_replace(
        given,
        '"(?:[^"\\\u0001-\u001f]|\\["\\/bfnrt]'
        || '|\\u(?!0000|[dD][89a-fA-F])[0-9a-fA-F]{4}'
        || '|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*"',
        '""', 'g');
    for depth in 1 .. 64 loop
        reduced := regexp_replace(
            rest,
            '\{' || blank || '(?:' || member || '(?:,' || blank || member || ')*)?\}'
            || '|\[' || blank || '(?:' || element || '(?:,' || blank || element || ')*)?\]',
            'null', 'g');
        exit when reduced = rest;
        rest := reduced;
    end loop;
    return case when rest ~ ('^' || blank || value || blank || '$') then given::jsonb end;
end
$$;
comment on function auth.tenantry_json(text) is 'The text as JSON; null if it is empty, longer than 16,384 characters, or not valid JSON.';

create or replace function auth.uid() returns uuid
    language sql stable parallel safe
    set search_path = pg_catalog, pg_temp
return (
    select case when c.sub ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' then c.sub::uuid end
      from (select coalesce(
                       nullif(current_setting('request.jwt.claim.sub', true), ''),
                       auth.tenantry_json(current_setting('request.jwt.claims', true)) ->> 'sub') as sub) as c);
comment on function auth.uid() is 'The caller''s account according to the claims of this transaction; null without one.';

create or replace function auth.role() returns text
    language sql stable parallel safe
    set search_path = pg_catalog, pg_temp
return coalesce(
    nullif(current_setting('request.jwt.claim.role', true), ''),
    auth.tenantry_json(current_setting('request.jwt.claims', true)) ->> 'role');
comment on function auth.role() is 'The database role in the claims; null without one.';

create or replace function auth.email() returns text
    language sql stable parallel safe
    set search_path = pg_catalog, pg_temp
return coalesce(
    nullif(current_setting('request.jwt.claim.email', true), ''),
    auth.tenantry_json(current_setting('request.jwt.claims', true)) ->> 'email');
comment on function auth.email() is 'The e-mail address in the claims; null without one.';

create or replace function auth.jwt() returns jsonb
    language sql stable parallel safe
    set search_path = pg_catalog, pg_temp
return auth.tenantry_json(coalesce(
    nullif(current_setting('request.jwt.claim', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')));
comment on function auth.jwt() is 'All claims; null without any.';

-- They only return what the caller set in the claims; without USAGE on the schema nobody can name them.
grant execute on function auth.tenantry_json(text), auth.uid(), auth.role(), auth.email(), auth.jwt() to public;
