-- name: end_memberships
create or replace function tenantry.end_memberships(account uuid, person uuid, since timestamptz) returns integer
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
<<here>>
declare
    ended integer := 0;
begin
{end_memberships}
    return here.ended;
end
$$;
comment on function tenantry.end_memberships(uuid, uuid, timestamptz) is
    'Ends the memberships of a person whose account was deleted, as [membership] end defines; dependent rows stay.';
revoke all on function tenantry.end_memberships(uuid, uuid, timestamptz) from public;

-- name: end_by_update
    update {membership} as m
       set {ends}
     where m.{m_profile} = end_memberships.person and {still};
    get diagnostics here.ended = row_count;

-- name: end_by_delete
    delete from {membership} as m
     where m.{m_profile} = end_memberships.person{free};
    get diagnostics here.ended = row_count;
    if exists (select from {membership} as m where m.{m_profile} = end_memberships.person) and end_memberships.account is not null then
        perform tenantry.note_auth_event(end_memberships.account, end_memberships.person, 'membership',
            'end memberships on which rows hang: say in [membership] end how, or move these rows', '', '');
    elsif end_memberships.account is not null then
        perform tenantry.settle_auth_event(end_memberships.account, '{{membership}}');
    end if;

-- name: end_earlier
create or replace function tenantry.end_earlier(person uuid) returns boolean
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    perform tenantry.end_memberships(null, end_earlier.person, now());
    if exists (select from {membership} as m where m.{m_profile} = end_earlier.person and {lasting}) then
        return false;
    end if;
    update tenantry.auth_event as e
       set done_at = clock_timestamp()
     where e.done_at is null and e.kind in ('gone', 'membership')
       and (e.profile = end_earlier.person
            or e.account = (select p.{p_account} from {profiles} as p where p.id = end_earlier.person)
            or e.account = (select l.account_id from tenantry.account_link as l
                              join {profiles} as p on p.legacy_id = l.source_key where p.id = end_earlier.person));
    return true;
end
$$;
comment on function tenantry.end_earlier(uuid) is
    'Ends the memberships that a person had with a deleted account, before another account gets the profile. '
    'False: some memberships cannot be ended.';
revoke all on function tenantry.end_earlier(uuid) from public;

-- name: end_person
create or replace function tenantry.end_person(account uuid, person uuid, since timestamptz, unlinked boolean) returns boolean
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
<<here>>
declare
    right_ boolean := true;
    code   text;
    message text;
begin
    -- Memberships first, one by one: the person may hold a lock on their own profile.
    begin
        perform tenantry.end_memberships(end_person.account, end_person.person, end_person.since);
    exception when others then
        get stacked diagnostics code = returned_sqlstate, message = message_text;
        here.right_ := false;
    end;
    begin
{mark_gone}
    exception when others then
        get stacked diagnostics code = returned_sqlstate, message = message_text;
        here.right_ := false;
    end;
    perform tenantry.settle_auth_event(end_person.account, '{{profile,conflict,email,invitation,account_email}}');
    if here.right_ then
        perform tenantry.settle_auth_event(end_person.account, '{{gone}}');
    else
        perform tenantry.note_auth_event(end_person.account, end_person.person, 'gone',
            'mark the profile as gone and end its memberships', here.code, here.message);
    end if;
    return here.right_;
end
$$;
comment on function tenantry.end_person(uuid, uuid, timestamptz, boolean) is
    'An account is deleted: ends the memberships of its person and marks the profile, which keeps its name for rows that refer to it. '
    'False: part of the work is queued.';
revoke all on function tenantry.end_person(uuid, uuid, timestamptz, boolean) from public;

-- name: on_account_gone
create or replace function tenantry.account_gone() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp set standard_conforming_strings = on set lock_timeout = '1s'
as $$
#variable_conflict use_column
<<here>>
declare
    person  uuid;
    code    text;
    message text;
begin
    begin
        perform tenantry.bound_waits('1s');
        select p.id into here.person from {profiles} as p where p.{p_account} = old.id;
        if here.person is not null then
            perform tenantry.end_person(old.id, here.person, now(), true);
        end if;
        if exists (select from {profiles} as p where p.{p_account} = old.id) then
            -- The profile cannot be unlinked: most likely the person holds a lock on it. The foreign key would wait as long
            -- as they hold it, and they would keep their access meanwhile. So their access ends now, and the row is updated
            -- later.
            update tenantry.account as a set forgotten_at = coalesce(a.forgotten_at, now()) where a.user_id = old.id;
            perform tenantry.note_auth_event(old.id, here.person, 'deletion',
                'delete the account: its profile was locked, or refused to let go of it', '', '');
            return null;
        end if;
        -- Otherwise a later derivation from the source would link the person to an account that no longer exists.
        update tenantry.account_link set account_id = null, made = false, situation = 'account_deleted' where account_id = old.id;
        delete from tenantry.account_confirmed as c where c.account = old.id;
        perform tenantry.settle_auth_event(old.id, '{{profile,conflict,email,invitation,account_email,account_delete,deletion}}');
    exception when others then
        get stacked diagnostics code = returned_sqlstate, message = message_text;
        begin
            perform tenantry.note_auth_event(
                old.id, here.person, 'gone', 'mark the profile as gone and end its memberships', here.code, here.message);
        exception when others then
            raise warning 'tenantry: the profile of account % is not marked as gone (%), and that could not be noted (%)',
                old.id, here.code, sqlstate;
        end;
    end;
    return old;
end
$$;
comment on function tenantry.account_gone() is
    'Trigger of auth.users, before a row is deleted: unlinks its profile, which stays. Failures are recorded in tenantry.auth_event; '
    'while the profile cannot be unlinked, the deletion is postponed, and the account cannot sign in any more.';
revoke all on function tenantry.account_gone() from public;

-- name: sign_out
create or replace function tenantry.sign_out(account uuid) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    if to_regclass('auth.one_time_tokens') is not null then
        delete from auth.one_time_tokens as t where t.user_id = sign_out.account;
    end if;
    if to_regclass('auth.sessions') is not null then
        delete from auth.sessions as s where s.user_id = sign_out.account;
    end if;
    if to_regclass('auth.refresh_tokens') is not null then
        delete from auth.refresh_tokens as r where r.user_id = sign_out.account::text;
    end if;
end
$$;
comment on function tenantry.sign_out(uuid) is
    'Ends the sessions of an account and invalidates what was sent to its old address: links to recover, to confirm, to sign in.';
revoke all on function tenantry.sign_out(uuid) from public;

-- name: forget_rest
create or replace function tenantry.forget_rest(person uuid, hard boolean) returns integer
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
<<here>>
declare
    address text;
    removed integer := 0;
begin
    select {p_folded} into here.address from {profiles} as p where p.id = forget_rest.person;
{close_invitations}
    if forget_rest.hard then
        delete from {membership} as m
         where m.{m_profile} = forget_rest.person{free};
        get diagnostics here.removed = row_count;
{overwrite}
    end if;
    return here.removed;
end
$$;
comment on function tenantry.forget_rest(uuid, boolean) is
    'Removes the remaining data of a person who is forgotten: deletes open invitations. hard: also deletes memberships without '
    'dependent rows, and overwrites personal data in the profile. Returns the number of deleted memberships.';
revoke all on function tenantry.forget_rest(uuid, boolean) from public;

-- name: close_invitations
    delete from {invitations} as i where {i_email} = here.address and ({open});

-- name: overwrite_profile
        update {profiles} as p set {personal} where p.id = forget_rest.person;

-- name: overwrite_invitations
        update {invitations} as i set {i_email_column} = 'deleted-' || forget_rest.person || '@deleted.invalid'
         where {i_email} = here.address{i_by_person};

-- name: forget
create or replace function tenantry.forget_person(profile uuid, hard boolean default false) returns jsonb
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp set standard_conforming_strings = on set lock_timeout = '1s'
as $$
#variable_conflict use_column
<<here>>
declare
    person  record;
    removed integer := 0;
    ended   integer := 0;
    account text := 'none';
    queued  text[];
    code    text;
    message text;
begin
    -- Takes no lock on the profile: the person may hold one, and must not keep their access as long as they hold it.
    select p.id, p.{p_account} as account, coalesce(p.{p_account}, p.id) as whose into here.person
      from {profiles} as p where p.id = forget_person.profile;
    if not found then
        raise exception 'there is no profile %', coalesce(forget_person.profile::text, 'null') using errcode = 'no_data_found';
    end if;
    update tenantry.account as a set forgotten_at = coalesce(a.forgotten_at, now()) where a.user_id = here.person.account;
    perform tenantry.bound_waits('2s');
    begin
        here.ended := tenantry.end_memberships(here.person.whose, here.person.id, now());
    exception when others then
        get stacked diagnostics code = returned_sqlstate, message = message_text;
        perform tenantry.note_auth_event(here.person.whose, here.person.id, 'gone', 'end the memberships', here.code, here.message);
    end;
    perform tenantry.bound_waits('2s');
    begin
{mark_forgotten}
    exception when others then
        get stacked diagnostics code = returned_sqlstate, message = message_text;
        perform tenantry.note_auth_event(
            here.person.whose, here.person.id, 'gone', 'mark the profile as gone', here.code, here.message);
    end;
    if here.person.account is not null then
        if not tenantry.owns_accounts() then
            perform tenantry.note_auth_event(here.person.account, here.person.id, 'account_delete',
                case when forget_person.hard then 'delete the account through the admin API'
                     else 'delete the account softly (should_soft_delete) through the admin API' end);
            here.account := 'queued';
        elsif forget_person.hard then
            begin
                delete from auth.users as u where u.id = here.person.account;
            exception when others then
                get stacked diagnostics code = returned_sqlstate, message = message_text;
                perform tenantry.note_auth_event(
                    here.person.account, here.person.id, 'deletion', 'delete the account', here.code, here.message);
            end;
            here.account := case when exists (select from auth.users as u where u.id = here.person.account) then 'queued' else 'deleted' end;
        else
            update auth.users as u
               set deleted_at = coalesce(u.deleted_at, now()), confirmation_token = '', recovery_token = '', email_change = '',
                   email_change_token_new = '', email_change_token_current = '', reauthentication_token = '', updated_at = now()
             where u.id = here.person.account;
            here.account := 'deleted softly';
        end if;
        if tenantry.owns_accounts() then
            perform tenantry.sign_out(here.person.account);
        end if;
    end if;
    perform tenantry.bound_waits('2s');
    begin
        here.removed := tenantry.forget_rest(here.person.id, forget_person.hard);
        perform tenantry.settle_auth_event(here.person.whose, '{{forget,forget_hard}}');
    exception when others then
        get stacked diagnostics code = returned_sqlstate, message = message_text;
        perform tenantry.note_auth_event(here.person.whose, here.person.id, case when forget_person.hard then 'forget_hard' else 'forget' end,
            case when forget_person.hard then 'remove what is personal, and open invitations' else 'remove open invitations' end,
            here.code, here.message);
    end;
    here.queued := array(
        select e.kind from tenantry.auth_event as e where e.account = here.person.whose and e.done_at is null order by e.kind);
    return jsonb_build_object(
        'account', here.account, 'memberships_removed', here.removed, 'memberships_ended', here.ended, 'queued', here.queued);
end
$$;
comment on function tenantry.forget_person(uuid, boolean) is
    'For the service: removes a person. hard: also overwrites the personal data in the profile, and deletes memberships without '
    'dependent rows. Access ends at once; work that a lock prevented is queued and reported.';
revoke all on function tenantry.forget_person(uuid, boolean) from public;
