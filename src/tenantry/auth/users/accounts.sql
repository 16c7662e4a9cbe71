-- Accounts for administrators. No statement here returns a hash of a password, a token, or a secret of a second factor.

-- name: exists
select to_regclass('auth.users') is not null

-- name: listed
-- One page, the newest first. A page begins after (created_at, id) of the last account of the page before.
select u.id, u.email, u.phone, u.role, u.created_at, u.last_sign_in_at, u.email_confirmed_at, u.banned_until, u.deleted_at, u.is_anonymous,
       (select count(*) from auth.sessions as s where s.user_id = u.id and (s.not_after is null or s.not_after > now())) as sessions,
       exists (select from auth.mfa_factors as f where f.user_id = u.id and f.status = 'verified') as second_factor
  from auth.users as u
 where (%(after)s::uuid is null
        or (coalesce(u.created_at, '-infinity'), u.id) < (select coalesce(a.created_at, '-infinity'), a.id from auth.users as a where a.id = %(after)s))
   and (%(email)s::text is null or lower(u.email) like %(email)s)
   and case %(state)s
           when 'banned' then u.banned_until > now()
           when 'unconfirmed' then u.email_confirmed_at is null and u.phone_confirmed_at is null and u.deleted_at is null
                                   and not u.is_anonymous
           when 'deleted' then u.deleted_at is not null
           when 'anonymous' then u.is_anonymous
           else true
       end
 order by coalesce(u.created_at, '-infinity') desc, u.id desc
 limit %(size)s

-- name: found
-- Whom each given text means: an id, or an address in any case. Both are looked up by an index.
select g.given, u.id
  from unnest(%(given)s::text[]) as g (given)
  left join lateral (
       select a.id from auth.users as a
        where a.id = case when g.given ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then g.given::uuid end
       union
       select a.id from auth.users as a
        where a.instance_id = '00000000-0000-0000-0000-000000000000' and lower(a.email) = lower(g.given) and not a.is_sso_user
          and a.deleted_at is null
       ) as u on true

-- name: shown
select jsonb_build_object(
           'id', u.id, 'email', u.email, 'phone', u.phone, 'role', u.role, 'aud', u.aud, 'created_at', u.created_at, 'updated_at', u.updated_at,
           'last_sign_in_at', u.last_sign_in_at, 'email_confirmed_at', u.email_confirmed_at, 'phone_confirmed_at', u.phone_confirmed_at,
           'invited_at', u.invited_at, 'banned_until', u.banned_until, 'deleted_at', u.deleted_at, 'is_anonymous', u.is_anonymous,
           'is_sso_user', u.is_sso_user, 'has_password', coalesce(u.encrypted_password, '') <> '',
           'new_email', nullif(u.email_change, ''), 'app_metadata', u.raw_app_meta_data, 'user_metadata', u.raw_user_meta_data,
           'identities', (select coalesce(jsonb_agg(jsonb_build_object(
                                     'provider', i.provider, 'provider_id', i.provider_id, 'email', i.email, 'created_at', i.created_at,
                                     'last_sign_in_at', i.last_sign_in_at) order by i.created_at, i.id), '[]')
                            from auth.identities as i where i.user_id = u.id),
           'factors', (select coalesce(jsonb_agg(jsonb_build_object(
                                  'id', f.id, 'type', f.factor_type, 'status', f.status, 'friendly_name', f.friendly_name,
                                  'created_at', f.created_at) order by f.created_at, f.id), '[]')
                         from auth.mfa_factors as f where f.user_id = u.id),
           'sessions', (select coalesce(jsonb_agg(jsonb_build_object(
                                   'id', s.id, 'created_at', s.created_at, 'refreshed_at', s.refreshed_at, 'aal', s.aal, 'not_after', s.not_after,
                                   'ip', host(s.ip), 'user_agent', s.user_agent) order by s.created_at desc, s.id), '[]')
                          from (select * from auth.sessions as s where s.user_id = u.id order by s.created_at desc limit 100) as s))
  from auth.users as u where u.id = %(id)s

-- name: ban
update auth.users set banned_until = %(until)s, updated_at = now() where id = any (%(ids)s) and banned_until is distinct from %(until)s

-- name: sign_out
delete from auth.sessions where user_id = any (%(ids)s)

-- name: sign_out_everyone
delete from auth.sessions

-- name: note
-- One entry of the audit log for each account, in the form of Supabase Auth.
insert into auth.audit_log_entries (instance_id, id, payload, created_at, ip_address)
select '00000000-0000-0000-0000-000000000000', gen_random_uuid(),
       json_build_object('action', %(action)s::text, 'actor_id', '00000000-0000-0000-0000-000000000000', 'actor_username', 'tenantry',
                         'actor_via_sso', false, 'log_type', %(type)s::text,
                         'traits', json_build_object('user_id', u.id, 'user_email', coalesce(u.email, ''))),
       now(), ''
  from auth.users as u where u.id = any (%(ids)s)

-- name: note_everyone
insert into auth.audit_log_entries (instance_id, id, payload, created_at, ip_address)
values ('00000000-0000-0000-0000-000000000000', gen_random_uuid(),
        json_build_object('action', 'logout', 'actor_id', '00000000-0000-0000-0000-000000000000', 'actor_username', 'tenantry',
                          'actor_via_sso', false, 'log_type', 'account', 'traits', json_build_object('everyone', true, 'sessions', %(sessions)s::bigint)),
        now(), '')

-- name: link_user
-- The account that a link is made for, locked, and why none can be made; without an address there is a reason, too.
select email,
       case when deleted_at is not null then 'it is deleted'
            when banned_until > now() then 'it is banned'
            when is_sso_user then 'it signs in by SSO'
            when coalesce(email, '') = '' then 'it has no e-mail address'
            when %(invite)s and email_confirmed_at is not null then 'its address is confirmed already'
       end
  from auth.users where id = %(id)s for update

-- name: keep_recovery
update auth.users set recovery_token = %(hash)s, recovery_sent_at = now(), updated_at = now() where id = %(id)s

-- name: keep_invitation
update auth.users
   set confirmation_token = %(hash)s, confirmation_sent_at = now(), invited_at = coalesce(invited_at, now()), updated_at = now(),
       -- Whoever signed up before with a password has not shown that the address is theirs.
       encrypted_password = case when email_confirmed_at is null then '' else encrypted_password end
 where id = %(id)s

-- name: keep_token
insert into auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to, created_at, updated_at)
values (gen_random_uuid(), %(id)s, %(type)s, %(hash)s, %(email)s, now() at time zone 'UTC', now() at time zone 'UTC')
    on conflict (user_id, token_type) do update
   set token_hash = excluded.token_hash, relates_to = excluded.relates_to, created_at = excluded.created_at, updated_at = excluded.updated_at

-- name: create
insert into auth.users (instance_id, id, aud, role, email, encrypted_password, raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
values ('00000000-0000-0000-0000-000000000000', gen_random_uuid(), 'authenticated', %(role)s, %(email)s, '',
        '{"provider": "email", "providers": ["email"]}', '{}', now(), now())
returning id

-- name: create_identity
insert into auth.identities (id, provider_id, user_id, identity_data, provider, created_at, updated_at)
values (gen_random_uuid(), %(id)s::uuid::text, %(id)s,
        jsonb_build_object('sub', %(id)s::uuid, 'email', %(email)s::text, 'email_verified', false, 'phone_verified', false), 'email', now(), now())

-- name: role_of
select id, role from auth.users where lower(email) = lower(%(email)s) and not is_sso_user and deleted_at is null
