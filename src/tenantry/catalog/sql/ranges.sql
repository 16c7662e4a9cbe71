-- Reads the range types of the schema.
select
    t.oid,
    t.typname::text as name,
    format_type(r.rngsubtype, null) as subtype,
    m.typname::text as multirange
from pg_range r
join pg_type t on t.oid = r.rngtypid
join pg_type m on m.oid = r.rngmultitypid
where t.typnamespace = %(namespace)s
    and not exists (
        select from pg_depend d
        where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'
    )
