-- Functions of the sign-in server. Repeatable; run by the owner of schema auth. They run with the rights of the caller, the server's login.

-- A refresh token is used: one call decides, changes and notes, under a lock of the session, so that concurrent calls of one session follow
-- each other. Sessions are locked before their tokens everywhere: ending a session locks in the same order.
--
-- outcome: 'new', or 'active' (the token's child, which the client did not store), with `token`; else the code of the refusal.
create or replace function tenantry_auth.refresh(
    given text, fresh text, reuse interval, rotate boolean, timebox interval, inactivity interval, single boolean, agent text, address inet,
    out outcome text, out token text, out session uuid, out account uuid)
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    moment constant timestamptz := clock_timestamp();
    used   auth.refresh_tokens;
    opened auth.sessions;
    owner  auth.users;
    active auth.refresh_tokens;
begin
    select * into used from auth.refresh_tokens as t where t.token = given;
    if not found then
        outcome := 'refresh_token_not_found';
        return;
    end if;
    select * into opened from auth.sessions as s where s.id = used.session_id for update;
    if not found then
        outcome := case when used.session_id is null then 'session_not_found' else 'refresh_token_not_found' end;
        return;
    end if;
    select * into owner from auth.users as u where u.id = opened.user_id;
    session := opened.id;
    account := opened.user_id;
    if owner.banned_until > moment then
        outcome := 'user_banned';
        return;
    elsif owner.deleted_at is not null then
        outcome := 'refresh_token_not_found';
        return;
    end if;
    -- What it was before the lock may have changed while this call waited.
    select * into used from auth.refresh_tokens as t where t.id = used.id for update;
    if not found then
        outcome := 'refresh_token_not_found';
        return;
    end if;
    if used.revoked then
        select * into active from auth.refresh_tokens as t
         where t.session_id = opened.id and not t.revoked order by t.id desc limit 1;
        if found and active.parent = used.token then
            token := active.token;
        elsif active.id is null or moment > used.updated_at + reuse then
            -- Two have the token: the session ends, for its access tokens too. Without an active token it has ended so before.
            if rotate and active.id is not null then
                update auth.refresh_tokens as t set revoked = true, updated_at = moment where t.session_id = opened.id and not t.revoked;
                update auth.sessions as s set not_after = least(s.not_after, moment), updated_at = moment where s.id = opened.id;
            end if;
            token := null;
            outcome := 'refresh_token_already_used';
            return;
        end if;
    end if;
    if opened.not_after < moment or opened.created_at + timebox < moment then
        token := null;
        outcome := 'session_expired';
        return;
    elsif coalesce(opened.refreshed_at at time zone 'UTC', greatest(opened.created_at, used.updated_at)) + inactivity < moment then
        token := null;
        outcome := 'session_inactive';
        return;
    elsif single and exists (
        select from auth.sessions as s
         where s.user_id = account and s.id <> opened.id
           and (s.not_after is null or s.not_after >= moment)
           and (timebox is null or s.created_at + timebox >= moment)
           and (inactivity is null or coalesce(s.refreshed_at at time zone 'UTC', s.created_at) + inactivity >= moment)
           and coalesce(s.refreshed_at at time zone 'UTC', s.created_at)
               > coalesce(opened.refreshed_at at time zone 'UTC', greatest(opened.created_at, used.updated_at)))
    then
        token := null;
        outcome := 'session_superseded';
        return;
    end if;
    outcome := 'active';
    if token is null then
        update auth.refresh_tokens as t set revoked = true, updated_at = moment where t.id = used.id and not t.revoked;
        insert into auth.refresh_tokens (token, user_id, revoked, created_at, updated_at, parent, session_id)
        values (fresh, used.user_id, false, moment, moment, used.token, opened.id);
        outcome := 'new';
        token := fresh;
    end if;
    update auth.sessions as s
       set refreshed_at = moment at time zone 'UTC', updated_at = moment, user_agent = agent, ip = address
     where s.id = opened.id;
    insert into auth.audit_log_entries (id, payload, created_at, ip_address)
    values (gen_random_uuid(),
            json_build_object('action', 'token_refreshed', 'actor_id', account, 'actor_username', owner.email, 'actor_via_sso', owner.is_sso_user,
                              'log_type', 'token'),
            moment, coalesce(host(address), ''));
end
$$;
comment on function tenantry_auth.refresh(text, text, interval, boolean, interval, interval, boolean, text, inet) is
    'Use a refresh token: rotation, reuse detection and expiry of sessions.';
revoke all on function tenantry_auth.refresh(text, text, interval, boolean, interval, interval, boolean, text, inet) from public;
