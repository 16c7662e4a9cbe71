-- name: guard
-- The functions below read auth.users as their owner, who must see all of its rows.
do $$
begin
    if not has_table_privilege('auth.users', 'select') or row_security_active('auth.users') then
        raise exception '% does not see the accounts in auth.users', current_user
            using errcode = 'insufficient_privilege',
                  hint = 'Let the owner of auth.users grant SELECT on it (and, where its row security is on, let the role bypass it; '
                         'on a hosted Supabase connect as postgres), or say in_step = false in [users].';
    end if;
    if not has_table_privilege('auth.users', 'trigger') then
        raise exception '% may not make triggers on auth.users', current_user
            using errcode = 'insufficient_privilege',
                  hint = 'Let the owner of auth.users grant TRIGGER on it, or say in_step = false in [users].';
    end if;
end
$$;

-- name: events
-- Work that could not be completed at once, and work for the admin API. It holds ids, codes and constraint names, no values.
create table if not exists tenantry.auth_event (
    id      bigint generated always as identity primary key,
    account uuid        not null,
    profile uuid,
    kind    text        not null check (kind in (
                'profile', 'conflict', 'email', 'invitation', 'gone', 'membership', 'account_email', 'account_delete',
                'deletion', 'forget', 'forget_hard')),
    what    text        not null,
    code    text        not null default '',
    message text        not null default '',
    tries   integer     not null default 1,
    at      timestamptz not null default clock_timestamp(),
    next_at timestamptz not null default clock_timestamp(),
    done_at timestamptz
);
alter table tenantry.auth_event add column if not exists claim uuid not null default gen_random_uuid();
comment on column tenantry.auth_event.claim is 'Names the lock of a retry. Secret: every role may take advisory locks, and so could block the retry.';
create unique index if not exists auth_event_open_key on tenantry.auth_event (account, kind) where done_at is null;
comment on table tenantry.auth_event is 'Synchronization of auth.users and profiles that is not completed yet: retried by tenantry.retry_auth_events().';
comment on column tenantry.auth_event.kind is
    'profile, email, invitation, gone, membership, deletion, forget, forget_hard: are retried. conflict: an operator decides. '
    'account_email, account_delete: for the admin API.';
comment on column tenantry.auth_event.code is 'SQLSTATE of the error; empty without an error.';
comment on column tenantry.auth_event.message is 'The server''s message, unless it may quote values.';
comment on column tenantry.auth_event.next_at is 'Earliest time of the next retry; the interval doubles, up to a day.';
revoke all on tenantry.auth_event from public;

-- Accounts with a confirmed address: later invitations are accepted by id, so that an unrelated change never joins a tenant.
create table if not exists tenantry.account_confirmed (
    account uuid primary key,
    at      timestamptz not null default clock_timestamp()
);
comment on table tenantry.account_confirmed is
    'Accounts that have confirmed an address: their sign-up is over, and invitations are accepted by tenantry.accept_invitations().';
revoke all on tenantry.account_confirmed from public;

-- name: note
create or replace function tenantry.note_auth_event(
    account uuid, profile uuid, kind text, what text, code text default '', message text default '') returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    said constant text := case
        when note_auth_event.code = '' or left(note_auth_event.code, 2) in ('23', '25', '40', '42', '53', '54', '55', '57', '0A', 'TN')
        then note_auth_event.message
        else 'what the server said is withheld, since it may quote values' end;
begin
    insert into tenantry.auth_event as e (account, profile, kind, what, code, message)
    values (note_auth_event.account, note_auth_event.profile, note_auth_event.kind, note_auth_event.what, note_auth_event.code, said)
    on conflict (account, kind) where done_at is null do update
       set profile = coalesce(excluded.profile, e.profile), what = excluded.what, code = excluded.code, message = excluded.message,
           tries = e.tries + 1, next_at = clock_timestamp() + least(interval '1 day', interval '30 seconds' * 2 ^ least(e.tries, 12));
end
$$;
comment on function tenantry.note_auth_event(uuid, uuid, text, text, text, text) is
    'Queues work that could not be completed for an account, or counts another attempt.';
revoke all on function tenantry.note_auth_event(uuid, uuid, text, text, text, text) from public;

-- name: bound_waits
create or replace function tenantry.bound_waits(budget interval) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    -- Counted from the client's statement: all its triggers and rows share the budget. Once it is used up, work that needs no
    -- waiting is still done.
    perform set_config('lock_timeout', greatest(20, (1000 * extract(epoch from
        bound_waits.budget - (clock_timestamp() - statement_timestamp())))::integer) || 'ms', true);
end
$$;
comment on function tenantry.bound_waits(interval) is
    'Limits the time for which the calling function waits for locks that clients may hold.';
revoke all on function tenantry.bound_waits(interval) from public;

-- name: settled
create or replace function tenantry.settle_auth_event(account uuid, kinds text[]) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    update tenantry.auth_event
       set done_at = clock_timestamp()
     where account = settle_auth_event.account and kind = any (settle_auth_event.kinds) and done_at is null;
end
$$;
comment on function tenantry.settle_auth_event(uuid, text[]) is 'Marks events of an account as completed.';
revoke all on function tenantry.settle_auth_event(uuid, text[]) from public;

-- name: owns
create or replace function tenantry.owns_accounts() returns boolean
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return obj_description(to_regnamespace('auth'), 'pg_namespace')
             = 'Accounts, compatible with Supabase Auth; made by Tenantry, since this server has no Supabase.'
       and pg_has_role((select c.relowner from pg_class as c where c.oid = to_regclass('auth.users')), 'USAGE');
end
$$;
comment on function tenantry.owns_accounts() is
    'Whether Tenantry created schema auth, so that its rows may be changed here; Supabase changes its rows through the admin API only.';
revoke all on function tenantry.owns_accounts() from public;
