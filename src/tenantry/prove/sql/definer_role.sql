-- title: The role of the context functions cannot log in, bypasses nothing and writes nothing
-- mending: alter role … nologin nosuperuser nobypassrls; revoke insert, update, delete on … from ….
select r.rolname::text || ' can log in, is a superuser or bypasses row-level security' as violation
  from pg_roles as r
 where r.rolname = %(definer)s and (r.rolcanlogin or r.rolsuper or r.rolbypassrls)
 union all
select c.oid::regclass::text || ': ' || r.rolname || ' has ' || p.privilege
  from pg_roles as r
 cross join pg_class as c
 cross join (values ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE')) as p (privilege)
 where r.rolname = %(definer)s
   and c.relnamespace in (to_regnamespace(quote_ident(%(schema)s)), to_regnamespace('tenantry'))
   and c.relkind in ('r', 'p') and not r.rolsuper
   and has_table_privilege(r.oid, c.oid, p.privilege)
