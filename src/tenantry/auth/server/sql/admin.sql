-- What administrators list and change.

-- name: newest
select u.*, i.identities, f.factors
  from (select * from auth.users as u
         where u.instance_id = '00000000-0000-0000-0000-000000000000' and u.aud = %(aud)s
           and (%(pattern)s::text is null or u.email like %(pattern)s or u.raw_user_meta_data ->> 'full_name' ilike %(pattern)s)
         order by u.created_at desc, u.id desc limit %(size)s offset %(offset)s) as u
 cross join lateral (select coalesce(jsonb_agg(to_jsonb(i) order by i.created_at, i.id), '[]') as identities
                       from auth.identities as i where i.user_id = u.id) as i
 cross join lateral (select coalesce(jsonb_agg(to_jsonb(f) - 'secret' order by f.created_at, f.id), '[]') as factors
                       from auth.mfa_factors as f where f.user_id = u.id) as f
 order by u.created_at desc, u.id desc

-- name: oldest
select u.*, i.identities, f.factors
  from (select * from auth.users as u
         where u.instance_id = '00000000-0000-0000-0000-000000000000' and u.aud = %(aud)s
           and (%(pattern)s::text is null or u.email like %(pattern)s or u.raw_user_meta_data ->> 'full_name' ilike %(pattern)s)
         order by u.created_at, u.id limit %(size)s offset %(offset)s) as u
 cross join lateral (select coalesce(jsonb_agg(to_jsonb(i) order by i.created_at, i.id), '[]') as identities
                       from auth.identities as i where i.user_id = u.id) as i
 cross join lateral (select coalesce(jsonb_agg(to_jsonb(f) - 'secret' order by f.created_at, f.id), '[]') as factors
                       from auth.mfa_factors as f where f.user_id = u.id) as f
 order by u.created_at, u.id

-- name: count
select count(*) from auth.users as u
 where u.instance_id = '00000000-0000-0000-0000-000000000000' and u.aud = %(aud)s
   and (%(pattern)s::text is null or u.email like %(pattern)s or u.raw_user_meta_data ->> 'full_name' ilike %(pattern)s)

-- name: role
update auth.users set role = %(role)s, updated_at = now() where id = %(id)s

-- name: ban
update auth.users set banned_until = %(until)s, updated_at = now() where id = %(id)s

-- name: email
update auth.users
   set email = %(email)s, updated_at = now(), is_anonymous = is_anonymous and not %(confirmed)s,
       confirmation_token = '', recovery_token = '', email_change = '', email_change_token_new = '', email_change_token_current = '',
       email_change_confirm_status = 0, reauthentication_token = ''
 where id = %(id)s

-- name: delete
delete from auth.users where id = %(id)s

-- name: drop_factors
delete from auth.mfa_factors where user_id = %(user)s

-- name: hide_identities
-- What identified the person is replaced with a digest, so that the address is free again and the row says nothing.
update auth.identities
   set identity_data = '{}', updated_at = now(),
       provider_id = encode(sha256(convert_to(user_id || provider_id, 'UTF8')), 'hex')
 where user_id = %(user)s

-- name: hide
update auth.users
   set email = rtrim(translate(encode(sha256(convert_to(id || coalesce(email, ''), 'UTF8')), 'base64'), '+/', '-_'), '='),
       phone = case when phone is not null then left(encode(sha256(convert_to(id || phone, 'UTF8')), 'hex'), 15) end,
       encrypted_password = null, email_change = '', phone_change = '', confirmation_token = '', recovery_token = '',
       email_change_token_current = '', email_change_token_new = '', phone_change_token = '', reauthentication_token = '',
       raw_user_meta_data = '{}', raw_app_meta_data = '{}', deleted_at = now(), updated_at = now()
 where id = %(id)s

-- name: factor_name
update auth.mfa_factors set friendly_name = %(friendly_name)s, updated_at = now() where id = %(id)s

-- name: audit
select json_build_object('id', a.id, 'payload', a.payload, 'created_at', a.created_at, 'ip_address', a.ip_address) as entry
  from auth.audit_log_entries as a
 where %(pattern)s::text is null
    or exists (select from unnest(%(keys)s::text[]) as k (name) where a.payload ->> k.name ilike %(pattern)s)
 order by a.created_at desc, a.id
 limit %(size)s offset %(offset)s

-- name: audit_count
select count(*) from auth.audit_log_entries as a
 where %(pattern)s::text is null
    or exists (select from unnest(%(keys)s::text[]) as k (name) where a.payload ->> k.name ilike %(pattern)s)
