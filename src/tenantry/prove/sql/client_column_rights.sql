-- title: No client may change an id, a tenant, or who made a row and when
-- mending: revoke update on … from …, then grant it again column by column without these.
select c.relname::text || '.' || a.attname || ': ' || r.rolname || ' has UPDATE' as violation
  from pg_class as c
  join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 cross join pg_roles as r
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s))
   and c.relkind in ('r', 'p')
   and a.attname = any (%(protected)s::text[])
   and r.rolname = any (%(callers)s::text[]) and not r.rolsuper
   and has_column_privilege(r.oid, c.oid, a.attnum, 'UPDATE')
 order by 1
