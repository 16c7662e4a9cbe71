-- Reads the views and materialized views of the schema, with the relations that their queries read.
select
    c.oid,
    c.relname::text as name,
    c.relkind = 'm' as materialized,
    pg_get_userbyid(c.relowner)::text as owner,
    pg_get_viewdef(c.oid) as definition,
    coalesce(c.reloptions, '{}') as options,
    obj_description(c.oid, 'pg_class') as comment,
    array(
        select distinct array[un.nspname::text, u.relname::text]
        from pg_rewrite r
        join pg_depend d
            on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass
        join pg_class u on u.oid = d.refobjid and u.relkind in ('r', 'p', 'f', 'v', 'm')
        join pg_namespace un on un.oid = u.relnamespace
        where r.ev_class = c.oid and r.rulename = '_RETURN' and u.oid <> c.oid
    ) as depends_on
from pg_class c
where c.relnamespace = %(namespace)s
    and c.relkind in ('v', 'm')
    and not exists (
        select from pg_depend d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
