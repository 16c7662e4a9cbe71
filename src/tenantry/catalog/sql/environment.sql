-- Reads the current user, the server, and whether accounts already exist.
select current_database(),
       current_user,
       session_user,
       current_setting('server_version_num')::int,
       to_regclass('auth.users') is not null,
       coalesce((select pg_has_role(relowner, 'usage') from pg_class where oid = to_regclass('auth.users')), false),
       array(select format('%I on %s', t.tgname, t.tgrelid::regclass)
               from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_proc p on p.oid = t.tgfoid
              where c.relnamespace = to_regnamespace('auth') and not t.tgisinternal and t.tgenabled <> 'D'
                and p.pronamespace is distinct from to_regnamespace('tenantry')
              order by 1)
