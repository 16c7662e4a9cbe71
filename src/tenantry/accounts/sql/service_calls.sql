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
    'Changes the e-mail address of an account, or requests the change from the admin API.';
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
            hint = 'It never existed, or was deleted.';
    end if;
    if here.someone.is_sso_user then
        raise exception 'account % signs in by single sign-on: the identity provider owns its e-mail address', accept_invitations.account
            using errcode = 'insufficient_privilege', hint = 'Create the membership yourself once you know who the person is.';
    end if;
    if here.someone.email_confirmed_at is null or here.someone.is_anonymous or coalesce(here.someone.address, '') = '' then
        raise exception 'account % has not confirmed an e-mail address', accept_invitations.account
            using errcode = 'insufficient_privilege',
                  hint = 'An invitation waits until the address that it names is confirmed.';
    end if;
    here.person := tenantry.follow_account(accept_invitations.account);
    if here.person is null then
        raise exception 'account % has no profile', accept_invitations.account using errcode = 'no_data_found',
            hint = 'tenantry users events shows why: the address may belong to another person.';
    end if;
    if accept_invitations.invitation is null then
        raise exception 'the id of the invitation is missing' using errcode = 'invalid_parameter_value',
            hint = 'A person only joins a tenant by their own decision: pass the id of the invitation that they accepted.';
    end if;
    perform tenantry.accept_open(accept_invitations.account, here.person, here.someone.address, null, accept_invitations.invitation);
    return {count_accepted};
end
$$;
comment on function tenantry.accept_invitations(uuid, text) is
    'For the service: a person who already has an account accepts an open invitation to their confirmed e-mail address, by its id. '
    'Returns how many invitations with this id they have accepted in this transaction: 0 or 1.';
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
            hint = 'Only the identity provider can change its e-mail address.';
    end if;
    -- The account first: the profile's trigger then finds nothing to do, and the confirmation stays valid.
    if here.person.account is not null and tenantry.owns_accounts() then
        perform tenantry.set_account_email(here.person.account, here.person.id, here.folded, coalesce(change_email.verified, false));
    end if;
    begin
        update {profiles} as p set {p_email} = here.stored where p.id = here.person.id and p.{p_email} is distinct from here.stored;
    exception when unique_violation then
        raise exception 'another profile has this e-mail address' using errcode = 'unique_violation',
            hint = 'Change the other one first, or merge the two people.';
    end;
    if here.person.account is not null and not tenantry.owns_accounts() then
        perform tenantry.set_account_email(here.person.account, here.person.id, here.folded, coalesce(change_email.verified, false));
    end if;
end
$$;
comment on function tenantry.change_email(uuid, text, boolean) is
    'For the service: changes the e-mail address of a person, in the profile and in the account. Unless it was verified, its owner confirms it.';
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
        -- Claimed by a lock of its own: a row lock would be taken in another order than sign-ups take theirs. The lock's name
        -- is secret and new for each attempt: otherwise anyone could take it and block the deletion of an account forever.
        continue when not pg_try_advisory_xact_lock(hashtextextended(event.claim::text, event.tries));
        continue when not exists (select from tenantry.auth_event as e where e.id = event.id and e.done_at is null and e.tries = event.tries);
        retry_auth_events.tried := retry_auth_events.tried + 1;
        begin
            perform tenantry.bound_waits('5s');
            perform tenantry.try_auth_event(event.account, event.profile, event.kind, event.what, event.at);
            -- The function that queues it again counts the attempt.
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
    'Retries the events of tenantry.auth_event that are due, or all of them. Several sessions may do so at once.';
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
            -- The account exists again, or another one got the profile: an operator knows which of its memberships it should
            -- have.
            perform tenantry.note_auth_event(try_auth_event.account, here.person.id, try_auth_event.kind,
                'end memberships that the person had with a deleted account: an account has their profile again', '', '');
        end if;
    when try_auth_event.kind in ('forget', 'forget_hard') then
        if here.person.id is not null then
            perform tenantry.forget_rest(here.person.id, try_auth_event.kind = 'forget_hard');
        end if;
    when here.someone.id is null then
        null;  -- a deleted account needs no address any more
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
        -- The trigger queues it again if the profile is still locked.
        delete from auth.users as u where u.id = try_auth_event.account;
    else
        here.person.id := tenantry.follow_account(try_auth_event.account);
{accept_again}
    end case;
end
$$;
comment on function tenantry.try_auth_event(uuid, uuid, text, text, timestamptz) is
    'Retries one event; queues it again if it still cannot be completed.';
revoke all on function tenantry.try_auth_event(uuid, uuid, text, text, timestamptz) from public;

-- name: accept_again
        -- The invitations that were open at the failed attempt, and none that came later.
        if try_auth_event.kind = 'invitation' and here.person.id is not null and exists (
            select from auth.users as u where u.id = try_auth_event.account and {u_trusted}) then
            perform tenantry.accept_open(try_auth_event.account, here.person.id, here.someone.address, try_auth_event.at, null);
        end if;
