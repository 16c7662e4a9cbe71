-- Whether the server can serve with this login. Reads the catalog alone.

-- name: fit
select current_user::text,
       array_remove(array[
           case when r.rolsuper then 'it is a superuser' end,
           case when r.rolbypassrls then 'it bypasses row-level security' end,
           case when c.relowner = r.oid then 'it owns the accounts' end,
           case when c.relowner is not null and c.relowner <> r.oid and pg_has_role(r.oid, c.relowner, 'member')
                then 'it is a member of their owner' end], null),
       array_remove(array[
           case when c.oid is null then 'table auth.users' end,
           case when to_regclass('tenantry_auth.rate_limits') is null then 'table tenantry_auth.rate_limits' end,
           case when not exists (select from pg_proc where pronamespace = to_regnamespace('tenantry_auth') and proname = 'refresh')
                then 'function tenantry_auth.refresh' end], null)
  from pg_roles as r
  left join pg_class as c on c.oid = to_regclass('auth.users')
 where r.rolname = current_user
