-- Who and where we are, and whether accounts exist already.
select current_database(),
       current_user,
       session_user,
       current_setting('server_version_num')::int,
       to_regclass('auth.users') is not null,
       coalesce((select pg_has_role(relowner, 'usage') from pg_class where oid = to_regclass('auth.users')), false)
