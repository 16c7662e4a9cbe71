-- Accounts as the sign-in server reads and changes them. Each is read with its identities and second factors, without their secrets.

-- name: by_id
select u.*, i.identities, f.factors
  from auth.users as u
 cross join lateral (select coalesce(jsonb_agg(to_jsonb(i) order by i.created_at, i.id), '[]') as identities
                       from auth.identities as i where i.user_id = u.id) as i
 cross join lateral (select coalesce(jsonb_agg(to_jsonb(f) - 'secret' order by f.created_at, f.id), '[]') as factors
                       from auth.mfa_factors as f where f.user_id = u.id) as f
 where u.id = %(id)s

-- name: by_email
select u.*, i.identities, f.factors
  from auth.users as u
 cross join lateral (select coalesce(jsonb_agg(to_jsonb(i) order by i.created_at, i.id), '[]') as identities
                       from auth.identities as i where i.user_id = u.id) as i
 cross join lateral (select coalesce(jsonb_agg(to_jsonb(f) - 'secret' order by f.created_at, f.id), '[]') as factors
                       from auth.mfa_factors as f where f.user_id = u.id) as f
 where u.instance_id = '00000000-0000-0000-0000-000000000000' and lower(u.email) = lower(%(email)s)
   and u.aud = %(aud)s and not u.is_sso_user

-- name: of_session
-- The account of a token with the session that the token names.
select u.*, i.identities, f.factors, s.session
  from auth.users as u
 cross join lateral (select coalesce(jsonb_agg(to_jsonb(i) order by i.created_at, i.id), '[]') as identities
                       from auth.identities as i where i.user_id = u.id) as i
 cross join lateral (select coalesce(jsonb_agg(to_jsonb(f) - 'secret' order by f.created_at, f.id), '[]') as factors
                       from auth.mfa_factors as f where f.user_id = u.id) as f
  left join lateral (select to_jsonb(s) as session from auth.sessions as s where s.id = %(session)s and s.user_id = u.id) as s on true
 where u.id = %(id)s

-- name: lock
select id from auth.users where id = %(id)s for update

-- name: email_taken
-- Another account has this address, as its own or as that of an identity of a provider.
select exists (
    select from auth.users as u
     where lower(u.email) = lower(%(email)s) and u.aud = %(aud)s and not u.is_sso_user and u.id is distinct from %(except)s)
    or exists (
    select from auth.identities as i join auth.users as u on u.id = i.user_id
     where i.email = lower(%(email)s) and i.provider <> 'phone' and not i.provider like 'sso:%%' and u.aud = %(aud)s
       and u.id is distinct from %(except)s)

-- name: create
insert into auth.users
    (instance_id, id, aud, role, email, encrypted_password, banned_until, raw_app_meta_data, raw_user_meta_data, is_anonymous,
     created_at, updated_at)
values
    ('00000000-0000-0000-0000-000000000000', %(id)s, %(aud)s, %(role)s, %(email)s, %(encrypted_password)s, %(banned_until)s,
     %(raw_app_meta_data)s, %(raw_user_meta_data)s, %(is_anonymous)s, now(), now())
    on conflict do nothing
returning id

-- name: create_identity
insert into auth.identities (id, provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
values (gen_random_uuid(), %(provider_id)s, %(user)s, %(data)s, %(provider)s, now(), now(), now())
    on conflict do nothing

-- name: edit_identity
update auth.identities
   set identity_data = identity_data || %(data)s, updated_at = now()
 where user_id = %(user)s and provider = %(provider)s

-- name: mark_identities_verified
update auth.identities
   set identity_data = identity_data || '{"email_verified": true}', updated_at = now()
 where user_id = %(user)s and email = lower(%(email)s)

-- name: drop_unconfirmed_identities
-- Of an account that nobody has confirmed, identities of providers other than this one, which somebody else may have linked.
delete from auth.identities
 where user_id = %(user)s and provider <> %(provider)s
   and exists (select from auth.users where id = %(user)s and confirmed_at is null)

-- name: confirm
update auth.users
   set email_confirmed_at = now(), confirmation_token = '', is_anonymous = false, updated_at = now(),
       raw_user_meta_data = coalesce(raw_user_meta_data, '{}') || '{"email_verified": true}'
 where id = %(id)s

-- name: recover
update auth.users set recovery_token = '', updated_at = now() where id = %(id)s

-- name: password
update auth.users
   set encrypted_password = %(hash)s, confirmation_token = '', recovery_token = '', email_change_token_current = '',
       email_change_token_new = '', phone_change_token = '', reauthentication_token = '',
       confirmation_sent_at = null, recovery_sent_at = null, email_change_sent_at = null, phone_change_sent_at = null,
       reauthentication_sent_at = null, updated_at = now()
 where id = %(id)s

-- name: forget_password
-- The password of an address that nobody has confirmed, which may be that of somebody who claims another person's address.
update auth.users set encrypted_password = '', updated_at = now() where id = %(id)s and confirmed_at is null

-- name: user_metadata
-- A null of the given object takes a key away.
update auth.users
   set raw_user_meta_data = merged.data, updated_at = now()
  from (select coalesce(jsonb_object_agg(e.key, e.value) filter (where e.value <> 'null'), '{}') as data
          from jsonb_each((select coalesce(raw_user_meta_data, '{}') from auth.users where id = %(id)s) || %(data)s) as e)
       as merged
 where id = %(id)s

-- name: app_metadata
update auth.users
   set raw_app_meta_data = merged.data, updated_at = now()
  from (select coalesce(jsonb_object_agg(e.key, e.value) filter (where e.value <> 'null'), '{}') as data
          from jsonb_each((select coalesce(raw_app_meta_data, '{}') from auth.users where id = %(id)s) || %(data)s) as e) as merged
 where id = %(id)s

-- name: providers
-- The list of providers in app_metadata follows the identities, the oldest first.
update auth.users as u
   set raw_app_meta_data = coalesce(u.raw_app_meta_data, '{}') || jsonb_build_object('provider', p.names -> 0, 'providers', p.names),
       updated_at = now()
  from (select jsonb_agg(i.provider order by i.first) as names
          from (select provider, min(created_at) as first from auth.identities where user_id = %(id)s group by provider) as i) as p
 where u.id = %(id)s and jsonb_array_length(p.names) > 0

-- name: email_changed
-- Codes that went to the earlier address count no more.
update auth.users
   set email = email_change, email_change = '', email_change_token_current = '', email_change_token_new = '', confirmation_token = '',
       recovery_token = '', reauthentication_token = '',
       email_change_confirm_status = 0, email_confirmed_at = coalesce(email_confirmed_at, now()), is_anonymous = false, updated_at = now(),
       raw_user_meta_data = coalesce(raw_user_meta_data, '{}') || '{"email_verified": true}'
           || case when raw_user_meta_data ? 'email' then jsonb_build_object('email', email_change) else '{}' end
 where id = %(id)s

-- name: half_changed
update auth.users
   set email_change_confirm_status = 1, updated_at = now(),
       email_change_token_current = case when %(current)s then '' else email_change_token_current end,
       email_change_token_new = case when %(current)s then email_change_token_new else '' end
 where id = %(id)s

-- name: ready
select count(*) as found from (select from auth.users limit 1) as u
