-- Reads the composite types of the schema that are not row types of tables or views.
select
    t.oid,
    c.oid as relation,
    t.typname::text as name,
    pg_get_userbyid(t.typowner)::text as owner,
    obj_description(t.oid, 'pg_type') as comment
from pg_class c
join pg_type t on t.oid = c.reltype
where c.relnamespace = %(namespace)s
    and c.relkind = 'c'
    and not exists (
        select from pg_depend d
        where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'
    )
