-- Reads the sequences of the schema, including those of serial and identity columns, with their last values.
select
    c.oid,
    c.relname::text as name,
    format_type(s.seqtypid, null) as type,
    s.seqstart as start,
    s.seqincrement as increment,
    s.seqmin as min,
    s.seqmax as max,
    s.seqcycle as cycle,
    s.seqcache as cache,
    case when has_sequence_privilege(c.oid, 'SELECT, USAGE') then pg_sequence_last_value(c.oid) end as last_value,
    (
        select array[t.relname::text, a.attname::text]
        from pg_depend d
        join pg_class t on t.oid = d.refobjid
        join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
        where d.classid = 'pg_class'::regclass and d.objid = c.oid
            and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
    ) as owned_by,
    pg_get_userbyid(c.relowner)::text as owner,
    obj_description(c.oid, 'pg_class') as comment
from pg_class c
join pg_sequence s on s.seqrelid = c.oid
where c.relnamespace = %(namespace)s
    and not exists (
        select from pg_depend d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
