-- Reads the indexes of all tables and materialized views of the schema, those behind constraints included.
select
    i.indrelid as relation,
    ic.relname::text as name,
    pg_get_indexdef(i.indexrelid) as definition,
    array(
        select a.attname::text
        from unnest(i.indkey::int2[]) with ordinality as key (attnum, n)
        left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = key.attnum
        where key.n <= i.indnkeyatts
        order by key.n
    ) as columns,
    array(
        select a.attname::text
        from unnest(i.indkey::int2[]) with ordinality as key (attnum, n)
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = key.attnum
        where key.n > i.indnkeyatts
        order by key.n
    ) as included,
    i.indisunique as unique,
    i.indisprimary as primary,
    i.indisvalid as valid,
    am.amname::text as method,
    pg_get_expr(i.indpred, i.indrelid) as predicate,
    con.conname::text as constraint,
    i.indnullsnotdistinct as nulls_not_distinct,
    coalesce(pg_relation_size(i.indexrelid), 0) as size_bytes,
    obj_description(i.indexrelid, 'pg_class') as comment,
    ic.relispartition as inherited
from pg_class c
join pg_index i on i.indrelid = c.oid
join pg_class ic on ic.oid = i.indexrelid
join pg_am am on am.oid = ic.relam
left join pg_constraint con
    on con.conindid = i.indexrelid and con.conrelid = i.indrelid and con.contype in ('p', 'u', 'x')
where c.relnamespace = %(namespace)s and c.relkind in ('r', 'p', 'm')
