-- title: No client can reach a table of schema tenantry
-- mending: revoke all on all tables in schema tenantry from …, public.
select c.relname::text || ': ' || r.rolname || ' has ' || p.privilege as violation
  from pg_class as c
 cross join pg_roles as r
 cross join (values ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE'), ('REFERENCES'), ('TRIGGER'))
       as p (privilege)
 where c.relnamespace = to_regnamespace('tenantry')
   and c.relkind in ('r', 'p', 'v', 'm')
   and r.rolname = any (%(callers)s::text[]) and not r.rolsuper
   and has_table_privilege(r.oid, c.oid, p.privilege)
 order by 1
