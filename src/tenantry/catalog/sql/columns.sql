-- Reads the columns of all tables, views and composite types of the schema.
-- A NOT NULL constraint that is not validated (PostgreSQL 18) sets attnotnull, though rows may hold nulls.
select
    a.attrelid as relation,
    a.attname::text as name,
    format_type(a.atttypid, a.atttypmod) as type,
    case
        when t.typtype = 'e' then 'enum'
        when t.typtype = 'd' then 'domain'
        when t.typcategory = 'A' and t.typelem <> 0 then 'array'
        when t.typtype = 'c' then 'composite'
        when t.typtype in ('r', 'm') then 'range'
        else 'base'
    end as type_kind,
    tn.nspname::text as type_schema,
    t.typname::text as type_name,
    case when t.typtype = 'b' and t.typcategory = 'A' and t.typelem <> 0 then format_type(t.typelem, null) end as element_type,
    row_number() over (partition by a.attrelid order by a.attnum)::int as position,
    not a.attnotnull or unproved.conrelid is not null as nullable,
    case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end as "default",
    case a.attidentity when 'a' then 'always' when 'd' then 'by default' end as identity,
    case when a.attgenerated <> '' then pg_get_expr(d.adbin, d.adrelid) end as generated,
    case a.attgenerated when 's' then 'stored' when 'v' then 'virtual' end as generated_kind,
    case when a.attcollation <> t.typcollation then a.attcollation::regcollation::text end as collation,
    col_description(a.attrelid, a.attnum) as comment,
    not a.attislocal as inherited
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
join pg_namespace tn on tn.oid = t.typnamespace
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
left join pg_constraint unproved
    on unproved.conrelid = a.attrelid and unproved.contype = 'n' and unproved.conkey = array[a.attnum]
        and not unproved.convalidated
where c.relnamespace = %(namespace)s and c.relkind in ('r', 'p', 'f', 'v', 'm', 'c')
