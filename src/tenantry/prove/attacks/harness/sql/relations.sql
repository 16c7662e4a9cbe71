-- Every relation with rows outside PostgreSQL's own schemas, without those of extensions.
select n.nspname::text as schema_name,
       c.relname::text as name,
       c.relkind::text as kind,
       c.relispartition or exists (select from pg_inherits as i where i.inhrelid = c.oid) as is_child,
       c.oid::bigint as oid
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'v', 'm', 'f')
   and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and not exists (
       select from pg_depend as d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
 order by n.nspname, c.relname
