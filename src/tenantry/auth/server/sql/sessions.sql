-- Sessions and their refresh tokens. Each sign-in is one statement, and so one transaction.

-- name: sign_in
-- No row: the account was banned, deleted, or got another password since it was read.
with account as (
    update auth.users
       set last_sign_in_at = now(), updated_at = now(), encrypted_password = coalesce(%(rehashed)s, encrypted_password)
     where id = %(user)s and deleted_at is null and (banned_until is null or banned_until <= now())
       and (%(checked)s::text is null or encrypted_password = %(checked)s)
    returning id, last_sign_in_at, updated_at
), session as (
    insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip)
    select %(session)s, a.id, now(), now(), 'aal1', %(user_agent)s, %(ip)s from account as a
    returning id
), method as (
    insert into auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method)
    select gen_random_uuid(), s.id, now(), now(), %(method)s from session as s
), token as (
    insert into auth.refresh_tokens (token, user_id, revoked, created_at, updated_at, parent, session_id)
    select %(token)s, %(user)s::uuid::text, false, now(), now(), null, s.id from session as s
), note as (
    insert into auth.audit_log_entries (id, payload, created_at, ip_address)
    select gen_random_uuid(), %(payload)s, now(), '' from session
)
select last_sign_in_at, updated_at, now() as moment from account

-- name: refresh
-- The token is used, and in the same round trip read is what the answer has. Without an account there is a refusal.
select r.outcome as refresh_outcome, r.token as refresh_token, r.session as refresh_session, u.*, i.identities, f.factors, m.methods
  from tenantry_auth.refresh(%(token)s, %(fresh)s, %(reuse)s, %(rotate)s, %(timebox)s, %(inactivity)s, %(single)s, %(user_agent)s, %(ip)s) as r
  left join auth.users as u on u.id = r.account and r.token is not null
 cross join lateral (select coalesce(jsonb_agg(to_jsonb(i) order by i.created_at, i.id), '[]') as identities
                       from auth.identities as i where i.user_id = u.id) as i
 cross join lateral (select coalesce(jsonb_agg(to_jsonb(f) - 'secret' order by f.created_at, f.id), '[]') as factors
                       from auth.mfa_factors as f where f.user_id = u.id) as f
 cross join lateral (select coalesce(jsonb_agg(jsonb_build_object('method', c.authentication_method,
                                                                  'timestamp', extract(epoch from c.updated_at)::bigint)
                                               order by c.updated_at desc, c.id), '[]') as methods
                       from auth.mfa_amr_claims as c where c.session_id = r.session) as m

-- name: methods
select coalesce(jsonb_agg(jsonb_build_object('method', authentication_method, 'timestamp', extract(epoch from updated_at)::bigint)
                          order by updated_at desc, id), '[]')
  from auth.mfa_amr_claims where session_id = %(session)s

-- name: end_session
delete from auth.sessions where id = %(session)s

-- name: end_others
delete from auth.sessions where user_id = %(user)s and id <> %(session)s

-- name: end_all
delete from auth.sessions where user_id = %(user)s
