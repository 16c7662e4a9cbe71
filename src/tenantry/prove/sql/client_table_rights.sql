-- title: No client may truncate a table, make triggers on it, reference it or maintain it
-- mending: revoke truncate, trigger, references on … from …, public. Triggers and references run with other people's
--   rights, and TRUNCATE knows no policies.
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
   and (g.grantee = 0 or r.rolname = any (%(callers)s::text[]))
   and g.privilege_type not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
 order by 1
