-- What a rollback puts away.

-- name: tables_of_target
-- Tables of the target's schema that hold rows of their own, and whether all of these can be read. Rows of partitions are their
-- table's, a foreign table's are not here, and an extension's come with the extension.
select c.relname, has_table_privilege(c.oid, 'select') and not row_security_active(c.oid)
  from pg_class as c
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s))
   and c.relkind in ('r', 'p') and not c.relispartition
   and not exists (select from pg_depend as d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
 order by 1

-- name: schema
-- Whether the schema, if it is there, is what an interrupted call of the same rollback made.
select coalesce(obj_description(n.oid, 'pg_namespace') = %(mark)s, false) from pg_namespace as n where n.nspname = %(name)s

-- name: tables
select c.relname from pg_class as c where c.relnamespace = to_regnamespace(quote_ident(%(name)s)) and c.relkind = 'r'
