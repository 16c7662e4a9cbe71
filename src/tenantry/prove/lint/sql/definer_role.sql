-- title: The role of the context functions cannot log in, bypasses nothing and writes nothing
-- level: error
-- why: Then a fault in a context function can expose memberships at most; with more rights it could expose everything.
-- fix: alter role … nologin nosuperuser nobypassrls; revoke insert, update, delete on … from ….
-- needs: definer
-- proof: yes
select '' as object, r.rolname::text || ' can log in, is a superuser or bypasses row-level security' as detail
  from pg_roles as r
 where r.rolname = %(definer)s and (r.rolcanlogin or r.rolsuper or r.rolbypassrls)
 union all
select format('%%I.%%I', n.nspname, c.relname), r.rolname || ' has ' || x.privilege_type
  from pg_roles as r
 cross join pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
 cross join lateral aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) as x
 where r.rolname = %(definer)s and x.grantee in (0, r.oid)
   and x.privilege_type in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
   and n.nspname in (%(schema)s, 'tenantry')
   and c.relkind in ('r', 'p') and not r.rolsuper
