-- One-time codes: their hashes stand in the account and in one_time_tokens, as Supabase Auth has them.

-- name: forget
delete from auth.one_time_tokens where user_id = %(user)s and token_type = any (%(types)s::auth.one_time_token_type[])

-- name: forget_all
delete from auth.one_time_tokens where user_id = %(user)s

-- name: keep
insert into auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to, created_at, updated_at)
values (gen_random_uuid(), %(user)s, %(type)s, %(hash)s, %(relates)s, now() at time zone 'UTC', now() at time zone 'UTC')
    on conflict (user_id, token_type) do update
   set token_hash = excluded.token_hash, relates_to = excluded.relates_to, created_at = excluded.created_at, updated_at = excluded.updated_at

-- name: confirmation
update auth.users
   set confirmation_token = %(hash)s, confirmation_sent_at = now(), updated_at = now(),
       invited_at = case when %(invited)s then now() else invited_at end
 where id = %(user)s

-- name: recovery
update auth.users set recovery_token = %(hash)s, recovery_sent_at = now(), updated_at = now() where id = %(user)s

-- name: reauthentication
update auth.users set reauthentication_token = %(hash)s, reauthentication_sent_at = now(), updated_at = now() where id = %(user)s

-- name: reauthenticated
update auth.users set reauthentication_token = '', updated_at = now() where id = %(user)s

-- name: email_change
update auth.users
   set email_change = %(email)s, email_change_token_new = %(new)s, email_change_token_current = %(current)s, email_change_sent_at = now(),
       email_change_confirm_status = 0, updated_at = now()
 where id = %(user)s

-- name: owner
-- The account that a hash belongs to, locked: of two requests with one code the second finds none.
select u.id, t.token_type::text
  from auth.one_time_tokens as t join auth.users as u on u.id = t.user_id
 where t.token_hash = %(hash)s and t.token_type = any (%(types)s::auth.one_time_token_type[])
 order by t.created_at desc
 limit 1
   for update of u

-- name: still_there
select exists (select from auth.one_time_tokens
                where user_id = %(user)s and token_type = %(type)s::auth.one_time_token_type and token_hash = %(hash)s)

-- name: sent_to
-- The newest first. Two accounts may have been sent codes to one address: one wants it, or they are of two audiences.
select token_hash from auth.one_time_tokens
 where relates_to = %(address)s and token_type = any (%(types)s::auth.one_time_token_type[])
 order by created_at desc
