-- Reads the domains of the schema.
select
    t.oid,
    t.typname::text as name,
    format_type(t.typbasetype, t.typtypmod) as base,
    not t.typnotnull as nullable,
    pg_get_expr(t.typdefaultbin, 0) as "default",
    case when t.typcollation <> b.typcollation then t.typcollation::regcollation::text end as collation,
    pg_get_userbyid(t.typowner)::text as owner,
    obj_description(t.oid, 'pg_type') as comment
from pg_type t
join pg_type b on b.oid = t.typbasetype
where t.typnamespace = %(namespace)s
    and t.typtype = 'd'
    and not exists (
        select from pg_depend d
        where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'
    )
