-- Reads the enum types of the schema with their labels in sort order.
select
    t.oid,
    t.typname::text as name,
    array(
        select e.enumlabel::text from pg_enum e where e.enumtypid = t.oid order by e.enumsortorder
    ) as labels,
    pg_get_userbyid(t.typowner)::text as owner,
    obj_description(t.oid, 'pg_type') as comment
from pg_type t
where t.typnamespace = %(namespace)s
    and t.typtype = 'e'
    and not exists (
        select from pg_depend d
        where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'
    )
