-- name: guard
-- The functions below read auth.users as their owner, who must see all of it.
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
-- What could not be done at once, and what waits for the admin API. No values of anybody's: ids, codes, names of constraints.
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
comment on column tenantry.auth_event.claim is 'What the lock of a try is named after: nobody else may know it, since everybody may take advisory locks.';
create unique index if not exists auth_event_open_key on tenantry.auth_event (account, kind) where done_at is null;
comment on table tenantry.auth_event is 'What keeping auth.users and profiles in step could not do yet: retried by tenantry.retry_auth_events().';
comment on column tenantry.auth_event.kind is
    'profile, email, invitation, gone, membership, deletion, forget, forget_hard: is tried again. conflict: an operator decides. '
    'account_email, account_delete: for the admin API.';
comment on column tenantry.auth_event.code is 'SQLSTATE of the error; empty where there was none.';
comment on column tenantry.auth_event.message is 'What the server said, unless that may quote values.';
comment on column tenantry.auth_event.next_at is 'Not tried again before; the waits double, up to a day.';
revoke all on tenantry.auth_event from public;

-- Whose address was confirmed once: later invitations are accepted by name, since nobody joins a tenant by an unrelated change.
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
    'Puts into the queue what could not be done for an account, or counts a further try.';
revoke all on function tenantry.note_auth_event(uuid, uuid, text, text, text, text) from public;

-- name: bound_waits
create or replace function tenantry.bound_waits(budget interval) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    -- Counted from the client's statement: all triggers and all rows of one statement share the budget. What needs no waiting
    -- is done also when it is used up.
    perform set_config('lock_timeout', greatest(20, (1000 * extract(epoch from
        bound_waits.budget - (clock_timestamp() - statement_timestamp())))::integer) || 'ms', true);
end
$$;
comment on function tenantry.bound_waits(interval) is
    'Bounds what is left to the calling function for waiting for locks that clients may hold.';
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
comment on function tenantry.settle_auth_event(uuid, text[]) is 'What was to be done for an account is done.';
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
    'Whether schema auth is Tenantry''s own, so that its rows may be changed here; a Supabase''s are changed by its admin API alone.';
revoke all on function tenantry.owns_accounts() from public;

-- name: accept
create or replace function tenantry.accept_open(account uuid, person uuid, address text, before timestamptz, invitation text)
    returns integer
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
<<here>>
declare
    roles    constant text[] := array[{roles}];
    invited  record;
    member   record;
    made     uuid;
    accepted integer := 0;
    failed   boolean := false;
    code     text;
    message  text;
begin
    for look in 1 .. 2 loop
        -- Locked one by one: one that was accepted, revoked or expired meanwhile is not open any more. What another session holds
        -- is passed over, so that it keeps nobody from the other ones.
        for invited in
            select {i_key}, i.{tenant} as tenant, i.{i_role}::text as role, {i_made} as made
              from {invitations} as i
             where {i_wanted}
             order by array_position(here.roles, i.{i_role}::text) desc nulls last, {i_order}
               for update of i skip locked
        loop
            begin
                if array_position(here.roles, invited.role) is null then
                    raise exception 'the invitation names a role that the manifest does not know' using errcode = 'TN601';
                end if;
                for attempt in 1 .. 2 loop
                    select {m_key}, ({active}) is true as active, {m_changed} as changed into member
                      from {membership} as m
                     where m.{tenant} = invited.tenant and m.{m_profile} = accept_open.person
                     order by ({active}) is true desc limit 1
                       for no key update of m;
                    if not found then
                        here.made := gen_random_uuid();
                        begin
                            insert into {membership} ({m_columns})
                            values ({m_values});
                            exit;
                        exception when unique_violation then
                            -- Another session made it in this moment.
                            if attempt = 2 then
                                raise;
                            end if;
                        end;
                    elsif member.active then
                        exit;  -- a member keeps the role that they have
                    else
{reinstate}
                        exit;
                    end if;
                end loop;
                update {invitations} as i set {i_accepted} = now(){i_by}
                 where {i_same};
                here.accepted := here.accepted + 1;
            exception when others then
                if accept_open.invitation is not null then
                    raise;
                end if;
                get stacked diagnostics code = returned_sqlstate, message = message_text;
                perform tenantry.note_auth_event(accept_open.account, accept_open.person, 'invitation',
                    'accept an invitation to this e-mail address', here.code, here.message);
                here.failed := true;
                perform tenantry.bound_waits('1s');
            end;
        end loop;
        exit when here.failed or look = 2 or not exists (
            select from {invitations} as i where {i_wanted});
        begin
            -- What is locked is waited for, but not for long.
            perform from {invitations} as i where {i_wanted} for update of i;
        exception when lock_not_available then
            if accept_open.invitation is not null then
                raise;
            end if;
            perform tenantry.note_auth_event(accept_open.account, accept_open.person, 'invitation',
                'accept an invitation to this e-mail address: another session has locked it', '55P03', '');
            here.failed := true;
            exit;
        end;
    end loop;
    if not here.failed and accept_open.invitation is null then
        perform tenantry.settle_auth_event(accept_open.account, '{{invitation}}');
    end if;
    return here.accepted;
end
$$;
comment on function tenantry.accept_open(uuid, uuid, text, timestamptz, text) is
    'Makes a membership of each open invitation to an address that its owner has confirmed, and marks the invitation accepted: '
    'of those that were made before a moment, or of the one that is named.';
revoke all on function tenantry.accept_open(uuid, uuid, text, timestamptz, text) from public;

-- name: reinstate
                    -- Ended before. An invitation that was made since then brings them back; an older one is none to do that.
                    if ({newer}) is not true then
                        raise exception 'the membership was ended after this invitation was made' using errcode = 'TN602',
                            hint = 'Invite the person again.';
                    end if;
                    update {membership} as m set {back}{m_role} = {role_value}
                     where {m_same};
                    if not exists (select from {membership} as m where {m_same} and ({active})) then
                        raise exception 'a membership with the defaults of its columns is not active' using errcode = 'TN603';
                    end if;

-- name: follow
create or replace function tenantry.follow_account(account uuid) returns uuid
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
<<here>>
declare
    address   text;
    stored    text;
    confirmed boolean;
    trusted   boolean;
    anonymous boolean;
    deleted   timestamptz;
    person    uuid;
    is_gone   boolean;
    code      text;
    message   text;
    found_one record;
    made      constant uuid := gen_random_uuid();
begin
    select {u_folded}, {u_stored}, u.email_confirmed_at is not null and not u.is_anonymous, u.is_anonymous, u.deleted_at,
           {u_trusted}
      into here.address, here.stored, here.confirmed, here.anonymous, here.deleted, here.trusted
      from auth.users as u where u.id = follow_account.account;
    if not found then
        return null;
    end if;
    select p.id into here.person from {profiles} as p where p.{p_account} = follow_account.account;
    if here.deleted is not null then
        -- Without a lock on the profile, which its owner can hold themselves.
        if here.person is not null then
            perform tenantry.end_person(follow_account.account, here.person, here.deleted, false);
        end if;
        return here.person;
    end if;
    if exists (select from tenantry.auth_event as e
                where e.account = follow_account.account and e.kind in ('account_delete', 'deletion') and e.done_at is null) then
        return here.person;  -- they are forgotten; only the account is not deleted yet
    end if;
    select p.id, {is_gone} into here.person, here.is_gone
      from {profiles} as p where p.{p_account} = follow_account.account
       for no key update of p;
    if here.person is not null and exists (
        select from tenantry.auth_event as e
         where e.account = follow_account.account and e.kind = 'gone' and e.done_at is null) then
        -- The account was deleted, and is there again before its memberships could be ended.
        perform tenantry.end_earlier(here.person);
    end if;

    if here.person is null then
        if coalesce(here.address, '') = '' or here.anonymous then
            return null;
        end if;
        for attempt in 1 .. 3 loop
            select p.id, p.legacy_id,
                   p.{p_account} is null or not exists (
                       select from auth.users as o where o.id = p.{p_account} and o.deleted_at is null) as free,
                   exists (select from tenantry.account_link as l
                            where l.source_key = p.legacy_id and l.account_id is null and l.situation in ('system', 'deleted')) as barred,
                   {is_gone} or exists (
                       select from tenantry.auth_event as e
                        where e.kind in ('gone', 'membership') and e.done_at is null
                          and (e.profile = p.id or e.account = p.{p_account} or e.account = (
                              select l.account_id from tenantry.account_link as l where l.source_key = p.legacy_id))) as ending,
                   exists (select from tenantry.auth_event as e
                            where e.kind in ('forget', 'forget_hard') and e.done_at is null and e.profile = p.id) as forgetting
              into here.found_one
              from {profiles} as p where {p_email_same}
             order by p.{p_account} is not null, p.id limit 1
               for no key update of p;
            if not found then
                begin
                    insert into {profiles} ({p_columns})
                    select {p_values}
                      from auth.users as u where u.id = follow_account.account;
                    here.person := here.made;
                    exit;
                exception when unique_violation then
                    -- Another session made it in this moment; the next look finds it.
                    if attempt = 3 then
                        raise;
                    end if;
                    select p.id into here.person from {profiles} as p where p.{p_account} = follow_account.account;
                    exit when found;
                end;
            elsif not here.found_one.free then
                perform tenantry.note_auth_event(follow_account.account, here.found_one.id, 'conflict',
                    'its e-mail address is that of a profile that has another account');
                return null;
            elsif not here.trusted then
                -- Whoever signs up can name any address; the profile waits for the one who confirms it.
                if here.confirmed then
                    perform tenantry.note_auth_event(follow_account.account, here.found_one.id, 'conflict',
                        'its e-mail address is that of a profile without an account, but it is not confirmed in a way that links them');
                end if;
                return null;
            elsif here.found_one.barred then
                perform tenantry.note_auth_event(follow_account.account, here.found_one.id, 'conflict',
                    'its e-mail address is that of a profile that by the manifest gets no account');
                return null;
            elsif here.found_one.forgetting then
                perform tenantry.note_auth_event(follow_account.account, here.found_one.id, 'conflict',
                    'its e-mail address is that of a person who is being forgotten, which is not done yet');
                return null;
            elsif here.found_one.ending and not tenantry.end_earlier(here.found_one.id) then
                perform tenantry.note_auth_event(follow_account.account, here.found_one.id, 'conflict',
                    'its e-mail address is that of a profile that has memberships of a deleted account, which could not be ended');
                return null;
            else
                update {profiles} as p set {p_account} = follow_account.account{not_gone} where p.id = here.found_one.id;
                insert into tenantry.account_link as l (source_key, account_id, made, situation)
                values (here.found_one.legacy_id, follow_account.account, false, 'linked_by_email')
                on conflict (source_key) do update
                   set account_id = excluded.account_id, made = false, situation = excluded.situation;
                here.person := here.found_one.id;
                exit;
            end if;
        end loop;
        if here.person is null then
            raise exception 'the profile could not be made or found' using errcode = 'TN604';
        end if;
        insert into tenantry.account_link as l (source_key, account_id, made, situation)
        select p.legacy_id, follow_account.account, false, 'linked_by_email'
          from {profiles} as p where p.id = here.person
        on conflict (source_key) do nothing;
    end if;
{back_again}
    perform tenantry.settle_auth_event(follow_account.account, '{{profile,conflict}}');

    if here.confirmed and coalesce(here.address, '') <> '' then
        begin
            update {profiles} as p set {p_email} = here.stored
             where p.id = here.person and p.{p_email} is distinct from here.stored;
            perform tenantry.settle_auth_event(follow_account.account, '{{email}}');
        exception when unique_violation then
            perform tenantry.note_auth_event(follow_account.account, here.person, 'email',
                'give the profile the e-mail address of its account: another profile has it', '23505', '');
        end;
    end if;
{accept_trusted}
    return here.person;
end
$$;
comment on function tenantry.follow_account(uuid) is
    'Brings the profile of an account in line with what auth.users says of it now; can be called again. Gives the profile.';
revoke all on function tenantry.follow_account(uuid) from public;

-- name: back_again
    if here.is_gone then
        -- The account is there again. What ended with it stays ended: memberships come back by invitation.
        update {profiles} as p set {gone} = null where p.id = here.person;
    end if;

-- name: accept_trusted
    -- A sign-up takes up what waits for its address. Later invitations wait for the person's word: see accept_invitations().
    if here.trusted and coalesce(here.address, '') <> '' and not exists (
        select from tenantry.account_confirmed as c where c.account = follow_account.account) then
        begin
            perform tenantry.bound_waits('1s');
            perform tenantry.accept_open(follow_account.account, here.person, here.address, clock_timestamp(), null);
        exception when others then
            -- Whatever happens to an invitation, the profile is made.
            get stacked diagnostics code = returned_sqlstate, message = message_text;
            perform tenantry.note_auth_event(follow_account.account, here.person, 'invitation',
                'accept the invitations to this e-mail address', here.code, here.message);
        end;
    end if;
    if here.confirmed then
        insert into tenantry.account_confirmed as c (account) values (follow_account.account) on conflict do nothing;
    end if;

-- name: on_account
create or replace function tenantry.account_in_step() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp set standard_conforming_strings = on set lock_timeout = '1s'
as $$
#variable_conflict use_column
<<here>>
declare
    code    text;
    message text;
begin
    -- The invented people of a proof get their profiles from the proof.
    if exists (select from tenantry.proof_fixture as f
                where f.table_schema = 'auth' and f.table_name = 'users' and f.key ->> 'id' = new.id::text) then
        return null;
    end if;
    perform tenantry.bound_waits('1s');
    perform tenantry.follow_account(new.id);
    return null;
exception when others then
    -- Nobody is kept from signing up or in by what happens to their profile.
    get stacked diagnostics code = returned_sqlstate, message = message_text;
    begin
        perform tenantry.note_auth_event(
            new.id, (select p.id from {profiles} as p where p.{p_account} = new.id), case when new.deleted_at is null then 'profile' else 'gone' end,
            case when new.deleted_at is null then 'make or find the profile of the account, and keep it in step'
                 else 'mark the profile as gone and end its memberships' end, here.code, here.message);
    exception when others then
        raise warning 'tenantry: the profile of account % is not in step (%), and that could not be noted (%)',
            new.id, here.code, sqlstate;
    end;
    return null;
end
$$;
comment on function tenantry.account_in_step() is
    'Trigger of auth.users: keeps the profile of the account in step. Never refuses; what fails stands in tenantry.auth_event.';
revoke all on function tenantry.account_in_step() from public;

-- name: on_profile_email
create or replace function tenantry.profile_email_in_step() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp set standard_conforming_strings = on set lock_timeout = '1s'
as $$
#variable_conflict use_column
<<here>>
declare
    address constant text := {new_folded};
    account record;
begin
    select u.id, {u_folded} as address, u.is_sso_user into here.account
      from auth.users as u where u.id = new.{p_account} and u.deleted_at is null;
    -- What single sign-on says of somebody is the identity provider's to change.
    if not found or here.account.address is not distinct from here.address or here.account.is_sso_user then
        return null;
    end if;
    if here.address is null or here.address = '' then
        raise exception 'the e-mail address of a person with an account cannot be taken away' using errcode = 'TN605',
            hint = 'Delete the account (tenantry.forget_person), or give the person another address.';
    end if;
    perform tenantry.set_account_email(new.{p_account}, new.id, here.address, false);
    return null;
end
$$;
comment on function tenantry.profile_email_in_step() is
    'Trigger of the profiles: the account follows a new e-mail address, which its owner has to confirm.';
revoke all on function tenantry.profile_email_in_step() from public;

-- name: on_membership
create or replace function tenantry.membership_in_step() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    -- An older invitation must not bring back a membership that was ended since, whoever ended it: triggers that say when a row was
    -- changed pass over some sessions, such as the owner's.
    if new.updated_at is not distinct from old.updated_at
       and (select ({active}) from (select old.*) as m) is true and (select ({active}) from (select new.*) as m) is not true then
        new.updated_at := clock_timestamp();
    end if;
    return new;
end
$$;
comment on function tenantry.membership_in_step() is 'Trigger of the memberships: says when one was ended.';
revoke all on function tenantry.membership_in_step() from public;

-- name: set_account_email
create or replace function tenantry.set_account_email(account uuid, person uuid, address text, verified boolean) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    if not tenantry.owns_accounts() then
        perform tenantry.note_auth_event(set_account_email.account, set_account_email.person, 'account_email',
            case when set_account_email.verified then 'give the account the e-mail address of its profile, as confirmed, through the admin API'
                 else 'give the account the e-mail address of its profile, as not confirmed, through the admin API' end);
        return;
    end if;
    begin
        update auth.users as u
           set email = set_account_email.address,
               email_confirmed_at = case when set_account_email.verified then now() end,
               confirmation_token = '', recovery_token = '', email_change = '', email_change_token_new = '',
               email_change_token_current = '', email_change_confirm_status = 0, reauthentication_token = '', updated_at = now()
         where u.id = set_account_email.account;
        update auth.identities as i
           set identity_data = i.identity_data || jsonb_build_object('email', set_account_email.address, 'email_verified', set_account_email.verified),
               updated_at = now()
         where i.user_id = set_account_email.account and i.provider = 'email';
    exception when unique_violation then
        raise exception 'another account has this e-mail address' using errcode = 'unique_violation',
            hint = 'Two accounts cannot share an address: change or delete the other one first.';
    end;
    perform tenantry.sign_out(set_account_email.account);
end
$$;
comment on function tenantry.set_account_email(uuid, uuid, text, boolean) is
    'Gives an account another e-mail address, or asks the admin API to.';
revoke all on function tenantry.set_account_email(uuid, uuid, text, boolean) from public;

-- name: accept_invitations
create or replace function tenantry.accept_invitations(account uuid, invitation text) returns integer
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp set standard_conforming_strings = on set lock_timeout = '2s'
as $$
#variable_conflict use_column
<<here>>
declare
    someone record;
    person  uuid;
begin
    select {u_folded} as address, u.email_confirmed_at, u.is_sso_user, u.is_anonymous, u.deleted_at into here.someone
      from auth.users as u where u.id = accept_invitations.account;
    if not found or here.someone.deleted_at is not null then
        raise exception 'there is no account %', coalesce(accept_invitations.account::text, 'null') using errcode = 'no_data_found',
            hint = 'It was never made, or is deleted.';
    end if;
    if here.someone.is_sso_user then
        raise exception 'account % signs in by single sign-on: its e-mail address is what an identity provider says', accept_invitations.account
            using errcode = 'insufficient_privilege', hint = 'Make the membership yourself once you know who it is.';
    end if;
    if here.someone.email_confirmed_at is null or here.someone.is_anonymous or coalesce(here.someone.address, '') = '' then
        raise exception 'account % has not confirmed an e-mail address', accept_invitations.account
            using errcode = 'insufficient_privilege',
                  hint = 'An invitation waits until the address that it names is confirmed.';
    end if;
    here.person := tenantry.follow_account(accept_invitations.account);
    if here.person is null then
        raise exception 'account % has no profile', accept_invitations.account using errcode = 'no_data_found',
            hint = 'tenantry users events says why: the address may be another person''s.';
    end if;
    if accept_invitations.invitation is null then
        raise exception 'the id of the invitation is missing' using errcode = 'invalid_parameter_value',
            hint = 'Nobody joins a tenant that they were not asked about: name the invitation that the person has taken up.';
    end if;
    perform tenantry.accept_open(accept_invitations.account, here.person, here.someone.address, null, accept_invitations.invitation);
    return {count_accepted};
end
$$;
comment on function tenantry.accept_invitations(uuid, text) is
    'For the service: a person who has an account already takes up an open invitation to their confirmed e-mail address, by its id. '
    'Gives how many invitations with this id they have accepted in this transaction: 0 or 1.';
revoke all on function tenantry.accept_invitations(uuid, text) from public;

-- name: change_email
create or replace function tenantry.change_email(profile uuid, address text, verified boolean default false) returns void
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp set standard_conforming_strings = on set lock_timeout = '2s'
as $$
#variable_conflict use_column
<<here>>
declare
    folded  constant text := {address_folded};
    stored  constant text := {address_stored};
    person  record;
begin
    select p.id, p.{p_account} as account into here.person from {profiles} as p where p.id = change_email.profile for no key update of p;
    if not found then
        raise exception 'there is no profile %', coalesce(change_email.profile::text, 'null') using errcode = 'no_data_found';
    end if;
    if coalesce(here.folded, '') = '' then
        raise exception 'an e-mail address is missing' using errcode = 'invalid_parameter_value';
    end if;
    if here.person.account is not null and exists (
        select from auth.users as u where u.id = here.person.account and u.is_sso_user) then
        raise exception 'profile % signs in by single sign-on', change_email.profile using errcode = 'insufficient_privilege',
            hint = 'Its e-mail address is the identity provider''s to change.';
    end if;
    -- The account first: the profile's trigger then finds nothing to do, and the confirmation stands.
    if here.person.account is not null and tenantry.owns_accounts() then
        perform tenantry.set_account_email(here.person.account, here.person.id, here.folded, coalesce(change_email.verified, false));
    end if;
    begin
        update {profiles} as p set {p_email} = here.stored where p.id = here.person.id and p.{p_email} is distinct from here.stored;
    exception when unique_violation then
        raise exception 'another profile has this e-mail address' using errcode = 'unique_violation',
            hint = 'Change the other one first, or let the two become one person.';
    end;
    if here.person.account is not null and not tenantry.owns_accounts() then
        perform tenantry.set_account_email(here.person.account, here.person.id, here.folded, coalesce(change_email.verified, false));
    end if;
end
$$;
comment on function tenantry.change_email(uuid, text, boolean) is
    'For the service: a person gets another e-mail address, in the profile and in the account. Unless it was verified, its owner confirms it.';
revoke all on function tenantry.change_email(uuid, text, boolean) from public;

-- name: retry
create or replace function tenantry.retry_auth_events(most integer default 100, everything boolean default false)
    returns table (tried integer, done integer, remaining integer)
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp set standard_conforming_strings = on set lock_timeout = '2s'
as $$
#variable_conflict use_column
<<here>>
declare
    event   record;
    after   record;
    code    text;
    message text;
begin
    retry_auth_events.tried := 0;
    retry_auth_events.done := 0;
    for event in
        select e.id, e.account, e.profile, e.kind, e.what, e.tries, e.claim, e.at
          from tenantry.auth_event as e
         where e.done_at is null and (retry_auth_events.everything or e.next_at <= clock_timestamp())
         order by e.next_at, e.id
         limit retry_auth_events.most
    loop
        -- Claimed by a lock of its own: a row lock would be taken in another order than sign-ups take theirs. Its name is secret, and
        -- another one for each try: whoever could take it would keep the deletion of an account from ever being carried out.
        continue when not pg_try_advisory_xact_lock(hashtextextended(event.claim::text, event.tries));
        continue when not exists (select from tenantry.auth_event as e where e.id = event.id and e.done_at is null and e.tries = event.tries);
        retry_auth_events.tried := retry_auth_events.tried + 1;
        begin
            perform tenantry.bound_waits('5s');
            perform tenantry.try_auth_event(event.account, event.profile, event.kind, event.what, event.at);
            -- Whoever notes it again counts a further try.
            update tenantry.auth_event set done_at = clock_timestamp()
             where id = event.id and done_at is null and tries = event.tries;
        exception when others then
            get stacked diagnostics code = returned_sqlstate, message = message_text;
            perform tenantry.note_auth_event(event.account, event.profile, event.kind, event.what, here.code, here.message);
        end;
        if exists (select from tenantry.auth_event as e where e.id = event.id and e.done_at is not null) then
            retry_auth_events.done := retry_auth_events.done + 1;
        end if;
    end loop;
    retry_auth_events.remaining := (select count(*) from tenantry.auth_event as e where e.done_at is null);
    return next;
end
$$;
comment on function tenantry.retry_auth_events(integer, boolean) is
    'Works off tenantry.auth_event: those whose time has come, or everything. Several may do so at once.';
revoke all on function tenantry.retry_auth_events(integer, boolean) from public;

-- name: try
create or replace function tenantry.try_auth_event(account uuid, profile uuid, kind text, what text, at timestamptz) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
<<here>>
declare
    someone record;
    person  record;
    gone    boolean;
begin
    select u.id, u.deleted_at, {u_folded} as address into here.someone from auth.users as u where u.id = try_auth_event.account;
    here.gone := here.someone.id is null or here.someone.deleted_at is not null or exists (
        select from tenantry.auth_event as e
         where e.account = try_auth_event.account and e.kind in ('account_delete', 'deletion') and e.done_at is null);
    select p.id, p.{p_account} as account into here.person
      from {profiles} as p
     where p.{p_account} = try_auth_event.account or p.id = try_auth_event.profile
        or p.legacy_id = (select l.source_key from tenantry.account_link as l where l.account_id = try_auth_event.account)
     order by p.{p_account} = try_auth_event.account desc nulls last, p.id = try_auth_event.profile desc nulls last limit 1;
    case
    when try_auth_event.kind in ('gone', 'membership') then
        if here.person.id is null then
            null;
        elsif here.gone and (here.person.account is null or here.person.account = try_auth_event.account) then
            perform tenantry.end_person(try_auth_event.account, here.person.id, coalesce(here.someone.deleted_at, now()), here.someone.id is null);
        elsif exists (select from {membership} as m where m.{m_profile} = here.person.id and {lasting}) then
            -- The account is there again, or another one was given the profile: which of its memberships it should have, an operator knows.
            perform tenantry.note_auth_event(try_auth_event.account, here.person.id, try_auth_event.kind,
                'end memberships that the person had with a deleted account: an account has their profile again', '', '');
        end if;
    when try_auth_event.kind in ('forget', 'forget_hard') then
        if here.person.id is not null then
            perform tenantry.forget_rest(here.person.id, try_auth_event.kind = 'forget_hard');
        end if;
    when here.someone.id is null then
        null;  -- an account that is gone wants nothing any more
    when try_auth_event.kind = 'account_email' then
        if here.someone.deleted_at is null and exists (
            select from {profiles} as p
             where p.{p_account} = try_auth_event.account and {p_folded} is distinct from here.someone.address) then
            perform tenantry.note_auth_event(try_auth_event.account, try_auth_event.profile, try_auth_event.kind, try_auth_event.what);
        end if;
    when try_auth_event.kind = 'account_delete' then
        if here.someone.deleted_at is null then
            perform tenantry.note_auth_event(try_auth_event.account, try_auth_event.profile, try_auth_event.kind, try_auth_event.what);
        end if;
    when try_auth_event.kind = 'deletion' then
        -- The trigger notes it again where the profile is still locked.
        delete from auth.users as u where u.id = try_auth_event.account;
    else
        here.person.id := tenantry.follow_account(try_auth_event.account);
{accept_again}
    end case;
end
$$;
comment on function tenantry.try_auth_event(uuid, uuid, text, text, timestamptz) is
    'Tries once more what an event says; notes it again where it still cannot be done.';
revoke all on function tenantry.try_auth_event(uuid, uuid, text, text, timestamptz) from public;

-- name: accept_again
        -- What was open when it could not be accepted, and nothing that came later.
        if try_auth_event.kind = 'invitation' and here.person.id is not null and exists (
            select from auth.users as u where u.id = try_auth_event.account and {u_trusted}) then
            perform tenantry.accept_open(try_auth_event.account, here.person.id, here.someone.address, try_auth_event.at, null);
        end if;
