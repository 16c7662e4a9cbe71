-- title: The login itself, visitors and PUBLIC have no right on any table of the target
-- mending: revoke all on … from …; only the role of people who signed in is given rights.
select distinct c.relname::text || ': ' || coalesce(r.rolname::text, 'PUBLIC') || ' has ' || g.privilege_type as violation
  from pg_class as c
 cross join lateral (
       select * from aclexplode(c.relacl)
        union all
       select x.* from pg_attribute as a cross join lateral aclexplode(a.attacl) as x where a.attrelid = c.oid
       ) as g
  left join pg_roles as r on r.oid = g.grantee
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s))
   and c.relkind in ('r', 'p', 'v', 'm', 'f')
   and (g.grantee = 0 or r.rolname in (%(anon)s, %(login)s))
 order by 1
