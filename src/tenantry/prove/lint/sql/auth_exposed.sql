-- title: Clients read no accounts, neither directly nor through a view
-- level: error
-- why: auth.users holds the addresses, password hashes and metadata of every person of all tenants.
-- fix: revoke all on … from …; expose the needed columns in a table of profiles with policies.
-- uses: grants, view_sources, reach
select r.object, g.who || ' reads ' || string_agg(distinct s.object, ', ' order by s.object) || ' through this view' as detail
  from relations as r
  join grants as g on g.oid = r.oid and g.privilege = 'SELECT'
  join view_sources as s on s.view = r.oid and s.schema_name = 'auth'
 where r.relkind in ('v', 'm')
   and not exists (
       select from pg_options_to_table(r.reloptions) as o
        where o.option_name = 'security_invoker' and lower(o.option_value) in ('true', 'on', 'yes', '1'))
 group by r.object, g.who
 union
select format('%%I.%%I', n.nspname, c.relname), h.who || ' has ' || x.privilege_type
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'auth'
 cross join lateral (
       select * from aclexplode(coalesce(c.relacl, acldefault('r', c.relowner)))
        union all
       select y.* from pg_attribute as a cross join lateral aclexplode(a.attacl) as y where a.attrelid = c.oid
       ) as x
  join reach as h on h.grantee = x.grantee
 where c.relkind in ('r', 'p', 'v', 'm', 'f') and x.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
 order by 1, 2
