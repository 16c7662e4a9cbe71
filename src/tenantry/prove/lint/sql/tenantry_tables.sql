-- title: No client can reach a table of schema tenantry
-- level: error
-- why: The journal holds rows of all tenants, and the keys of the sealed context.
-- fix: revoke all on all tables in schema tenantry from …, public.
-- uses: reach
-- needs: tenantry
-- proof: yes
select format('%%I.%%I', n.nspname, c.relname) as object, h.who || ' has ' || x.privilege_type as detail
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
 cross join lateral (
       select * from aclexplode(coalesce(c.relacl, acldefault('r', c.relowner)))
        union all
       select y.* from pg_attribute as a cross join lateral aclexplode(a.attacl) as y where a.attrelid = c.oid
       ) as x
  join reach as h on h.grantee = x.grantee
 where n.nspname = 'tenantry' and c.relkind in ('r', 'p', 'v', 'm')
   -- This right alone gives no access, and prevents a client from locking tables with DROP OWNED BY.
   and not (c.relname = 'latch' and x.privilege_type = 'REFERENCES' and x.grantee <> 0)
 order by 1, 2
