-- title: Logins of applications have the rights of a client only after SET ROLE
-- level: warning
-- why: Otherwise a statement that runs before SET ROLE, or after RESET ROLE, has these rights without a caller.
-- fix: alter role … noinherit; from PostgreSQL 16 on also grant … to … with inherit false.
-- uses: becomes
select '' as object, b.who || ' has the rights of ' || r.rolname || ' without SET ROLE' as detail
  from becomes as b
  join pg_roles as r on r.oid = b.role
 where b.who = any (%(logins)s::text[]) and b.inherited and not r.rolcanlogin
   and r.rolname = any (%(clients)s::text[])
   -- A login for a single role, without any other, counts as that role.
   and (select count(*) from becomes as o where o.client = b.client) > 1
 order by 2
