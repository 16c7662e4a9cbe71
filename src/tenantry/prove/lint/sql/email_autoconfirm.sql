-- title: Addresses count as confirmed only after their owner has confirmed them
-- level: warning
-- why: Profiles, memberships and invitations go to the account with a confirmed address. Where Supabase Auth confirms every address at sign-up, anyone who enters another person's address gets what waits for that person.
-- fix: Switch on the confirmation of e-mail addresses in Supabase Auth (Authentication, Sign In / Providers, Email: Confirm email; GOTRUE_MAILER_AUTOCONFIRM=false), then look through the memberships that such accounts have.
-- needs: tenantry
select 'auth.users' as object,
       split_part(s.word, '/', 1) || ' of the last ' || split_part(s.word, '/', 2)
       || ' sign-ups were confirmed and signed in within seconds, and no message was sent to their address' as detail
  -- As a text, which ts_stat() runs: columns, and the right to them, may be missing.
  from ts_stat(
       case when (select count(*) from pg_attribute as a
                   where a.attrelid = to_regclass('auth.users') and not a.attisdropped
                     and a.attname in ('created_at', 'email_confirmed_at', 'confirmation_sent_at', 'invited_at', 'last_sign_in_at',
                                       'raw_app_meta_data')
                     and has_column_privilege(a.attrelid, a.attnum, 'select')) = 6
             and to_regprocedure('tenantry.account_in_step()') is not null
             and not row_security_active(to_regclass('auth.users'))
       then $q$
           select array_to_tsvector(array[count(*) filter (where r.at_once) || '/' || count(*)])
             from (select u.created_at, u.confirmation_sent_at is not null as mailed,
                          u.confirmation_sent_at is null and abs(extract(epoch from u.email_confirmed_at - u.created_at)) < 5
                          and abs(extract(epoch from u.last_sign_in_at - u.created_at)) < 5 as at_once
                     from auth.users as u
                    where u.raw_app_meta_data ->> 'provider' = 'email' and u.invited_at is null
                    order by u.created_at desc limit 500) as r
            -- What came before the last message that was sent may have been set right since.
           having max(r.created_at) filter (where r.at_once) > coalesce(max(r.created_at) filter (where r.mailed), '-infinity')
           $q$
       else $q$select ''::tsvector$q$ end) as s
