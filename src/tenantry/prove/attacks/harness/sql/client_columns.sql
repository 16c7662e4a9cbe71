-- The client role's rights on the columns of each table and view of the target.
select c.relname::text as table_name,
       a.attname::text as column_name,
       has_column_privilege(%(client)s, c.oid, a.attnum, 'SELECT') as readable,
       has_column_privilege(%(client)s, c.oid, a.attnum, 'INSERT') as insertable,
       has_column_privilege(%(client)s, c.oid, a.attnum, 'UPDATE') as updatable,
       has_table_privilege(%(client)s, c.oid, 'DELETE') as deletable
  from pg_class as c
  join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) and c.relkind in ('r', 'p', 'v', 'm', 'f')
 order by c.relname, a.attnum
