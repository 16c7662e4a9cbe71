-- Second factors.

-- name: of
select id, user_id, friendly_name, factor_type::text, status::text, secret from auth.mfa_factors where id = %(id)s and user_id = %(user)s

-- name: drop_stale
delete from auth.mfa_factors
 where user_id = %(user)s and status = 'unverified' and created_at < now() - %(lifetime)s::interval

-- name: create
insert into auth.mfa_factors (id, user_id, friendly_name, factor_type, status, created_at, updated_at, secret)
values (%(id)s, %(user)s, %(friendly_name)s, 'totp', 'unverified', now(), now(), %(secret)s)

-- name: challenge
insert into auth.mfa_challenges (id, factor_id, created_at, ip_address) values (%(id)s, %(factor)s, now(), %(ip)s)

-- name: find_challenge
select id, created_at, verified_at, ip_address from auth.mfa_challenges where id = %(id)s and factor_id = %(factor)s for update

-- name: drop_challenge
delete from auth.mfa_challenges where id = %(id)s

-- name: verified
with challenge as (update auth.mfa_challenges set verified_at = now() where id = %(challenge)s)
update auth.mfa_factors set status = 'verified', updated_at = now(), last_challenged_at = clock_timestamp() where id = %(id)s

-- name: raise_session
-- The session gets the second factor, and a new refresh token; the earlier ones are used up.
with session as (
    update auth.sessions set aal = 'aal2', factor_id = %(factor)s, updated_at = now() where id = %(session)s returning id
), method as (
    insert into auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method)
    select gen_random_uuid(), id, now(), now(), 'totp' from session
        on conflict on constraint mfa_amr_claims_session_id_authentication_method_pkey do update set updated_at = excluded.updated_at
), used as (
    update auth.refresh_tokens set revoked = true, updated_at = now() where session_id = %(session)s and not revoked
    returning token, id
)
insert into auth.refresh_tokens (token, user_id, revoked, created_at, updated_at, parent, session_id)
select %(token)s, %(user)s::uuid::text, false, now(), now(), (select token from used order by id desc limit 1), id from session

-- name: end_lower
-- Sessions that were opened without a second factor end when the account has one.
delete from auth.sessions where user_id = %(user)s and id <> %(session)s and (aal is null or aal < 'aal2')

-- name: drop_unverified
delete from auth.mfa_factors where user_id = %(user)s and status = 'unverified' and factor_type = 'totp'

-- name: delete
delete from auth.mfa_factors where id = %(id)s

-- name: lower_sessions
with lowered as (update auth.sessions set aal = 'aal1', factor_id = null, updated_at = now() where factor_id = %(factor)s returning id)
delete from auth.mfa_amr_claims where session_id in (select id from lowered) and authentication_method = 'totp'
