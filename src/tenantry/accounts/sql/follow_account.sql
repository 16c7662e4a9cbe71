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
        -- Locked one by one: an invitation may have been accepted, revoked or expired meanwhile. One that another session
        -- holds is skipped, so that it does not block the others.
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
                            -- Another session created it just now.
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
            -- Waits for locks, but only for a limited time.
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
    'Creates a membership for each open invitation to an address that its owner has confirmed, and marks the invitation accepted: '
    'for invitations made before a given time, or for the one with a given id.';
revoke all on function tenantry.accept_open(uuid, uuid, text, timestamptz, text) from public;

-- name: reinstate
                    -- Ended before. A newer invitation restores the membership; an older one does not.
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
        -- Takes no lock on the profile, because its owner may hold one.
        if here.person is not null then
            perform tenantry.end_person(follow_account.account, here.person, here.deleted, false);
        end if;
        return here.person;
    end if;
    if exists (select from tenantry.auth_event as e
                where e.account = follow_account.account and e.kind in ('account_delete', 'deletion') and e.done_at is null) then
        return here.person;  -- the person was forgotten; only the account is not deleted yet
    end if;
    select p.id, {is_gone} into here.person, here.is_gone
      from {profiles} as p where p.{p_account} = follow_account.account
       for no key update of p;
    if here.person is not null and exists (
        select from tenantry.auth_event as e
         where e.account = follow_account.account and e.kind = 'gone' and e.done_at is null) then
        -- The account was deleted and restored before its memberships could be ended.
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
                    -- Another session created it just now; the next lookup finds it.
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
                -- A sign-up can name any address; the profile is reserved for the person who confirms it.
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
    'Updates the profile of an account to the current state in auth.users; can be repeated. Returns the profile.';
revoke all on function tenantry.follow_account(uuid) from public;

-- name: back_again
    if here.is_gone then
        -- The account exists again. Memberships that ended with it stay ended: an invitation restores them.
        update {profiles} as p set {gone} = null where p.id = here.person;
    end if;

-- name: accept_trusted
    -- A sign-up accepts the open invitations to its address. The person accepts later ones: see accept_invitations().
    if here.trusted and coalesce(here.address, '') <> '' and not exists (
        select from tenantry.account_confirmed as c where c.account = follow_account.account) then
        begin
            perform tenantry.bound_waits('1s');
            perform tenantry.accept_open(follow_account.account, here.person, here.address, clock_timestamp(), null);
        exception when others then
            -- The profile is created even if an invitation fails.
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
    -- A proof creates the profiles of its synthetic people.
    if exists (select from tenantry.proof_fixture as f
                where f.table_schema = 'auth' and f.table_name = 'users' and f.key ->> 'id' = new.id::text) then
        return null;
    end if;
    perform tenantry.bound_waits('1s');
    perform tenantry.follow_account(new.id);
    return null;
exception when others then
    -- A failure with the profile never prevents a sign-up or a sign-in.
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
    'Trigger of auth.users: keeps the profile of the account synchronized. Never fails; failures are recorded in tenantry.auth_event.';
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
    -- The identity provider owns the data of single sign-on accounts.
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
    -- An older invitation must not restore a membership that ended later, whatever ended it: triggers that record the time of
    -- a change skip some sessions, such as the owner's.
    if new.updated_at is not distinct from old.updated_at
       and (select ({active}) from (select old.*) as m) is true and (select ({active}) from (select new.*) as m) is not true then
        new.updated_at := clock_timestamp();
    end if;
    return new;
end
$$;
comment on function tenantry.membership_in_step() is 'Trigger of the memberships: records when one ended.';
revoke all on function tenantry.membership_in_step() from public;
