-- A hosted Supabase behind its admin API: the accounts it has, and the actions to run there.

-- name: mirror_user
-- Store an account from the admin API in our own auth.users. What the API does not reveal, such as passwords, is missing.
insert into auth.users as u (id, aud, role, email, phone, email_confirmed_at, phone_confirmed_at, invited_at, last_sign_in_at,
                             banned_until, deleted_at, raw_app_meta_data, raw_user_meta_data, created_at, updated_at,
                             is_sso_user, is_anonymous)
select r.id, coalesce(r.aud, 'authenticated'), coalesce(r.role, 'authenticated'), nullif(lower(r.email), ''), nullif(r.phone, ''),
       r.email_confirmed_at, r.phone_confirmed_at, r.invited_at, r.last_sign_in_at, r.banned_until, r.deleted_at,
       coalesce(r.app_metadata, '{}'), coalesce(r.user_metadata, '{}'), coalesce(r.created_at, now()), coalesce(r.updated_at, now()),
       exists (select from jsonb_array_elements(case when jsonb_typeof(r.identities) = 'array' then r.identities else '[]' end) as i
                where i ->> 'provider' like 'sso:%%'),
       coalesce(r.is_anonymous, false)
  from jsonb_to_record(%(user)s::jsonb) as r (
       id uuid, aud text, role text, email text, phone text, email_confirmed_at timestamptz, phone_confirmed_at timestamptz,
       invited_at timestamptz, last_sign_in_at timestamptz, banned_until timestamptz, deleted_at timestamptz, app_metadata jsonb,
       user_metadata jsonb, created_at timestamptz, updated_at timestamptz, is_anonymous boolean, identities jsonb)
on conflict (id) do update
   set aud = excluded.aud, role = excluded.role, email = excluded.email, phone = excluded.phone,
       email_confirmed_at = excluded.email_confirmed_at, phone_confirmed_at = excluded.phone_confirmed_at,
       invited_at = excluded.invited_at, last_sign_in_at = excluded.last_sign_in_at, banned_until = excluded.banned_until,
       deleted_at = excluded.deleted_at, raw_app_meta_data = excluded.raw_app_meta_data,
       raw_user_meta_data = excluded.raw_user_meta_data, updated_at = excluded.updated_at,
       is_sso_user = excluded.is_sso_user, is_anonymous = excluded.is_anonymous
 where u.updated_at is distinct from excluded.updated_at or u.banned_until is distinct from excluded.banned_until

-- name: pushed
-- The accounts that a run created, or made super admin, as the admin API should have them.
select l.source_key, l.situation, u.id, u.email, nullif(u.encrypted_password, '') as password_hash,
       u.email_confirmed_at is not null as confirmed, u.raw_user_meta_data, u.raw_app_meta_data,
       coalesce(u.banned_until > now(), false) as banned, l.made
  from tenantry.account_link as l
  join auth.users as u on u.id = l.account_id
 where (l.made and exists (select from tenantry.account_made as a where a.account_id = u.id)) or l.flagged
 order by l.source_key

-- name: pushed_count
-- Maximum number of rows of `pushed`.
select count(*)::int from tenantry.account_link where made or flagged
