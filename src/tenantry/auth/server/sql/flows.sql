-- PKCE: a challenge waits here until the code from the mail comes back with its verifier.

-- name: begin
insert into auth.flow_state (id, user_id, auth_code, code_challenge, code_challenge_method, provider_type, authentication_method, created_at, updated_at)
values (gen_random_uuid(), %(user)s, gen_random_uuid()::text, %(challenge)s, %(challenge_method)s::auth.code_challenge_method,
        %(provider)s, %(method)s, now(), now())

-- name: issue
-- The newest flow of the account and kind gets its code.
update auth.flow_state
   set auth_code_issued_at = now(), updated_at = now()
 where id = (select id from auth.flow_state
              where user_id = %(user)s and authentication_method = %(method)s and code_challenge <> ''
              order by created_at desc limit 1)
returning auth_code

-- name: by_code
select id, user_id, code_challenge, code_challenge_method::text as challenge_method, authentication_method,
       coalesce(auth_code_issued_at, created_at) < now() - %(lifetime)s::interval as expired
  from auth.flow_state where auth_code = %(code)s

-- name: forget
delete from auth.flow_state where user_id = %(user)s and authentication_method is distinct from %(but)s

-- name: use
-- A code counts once: of two requests the second deletes nothing.
delete from auth.flow_state where id = %(id)s returning user_id
