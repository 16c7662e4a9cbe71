-- Reads the publications of the schema's tables, and which columns and rows they publish.
select
    r.prrelid as relation,
    p.pubname::text as name,
    'table' as scope,
    array(
        select a.attname::text
        from unnest(r.prattrs::int2[]) as key (attnum)
        join pg_attribute a on a.attrelid = r.prrelid and a.attnum = key.attnum
        order by a.attnum
    ) as columns,
    pg_get_expr(r.prqual, r.prrelid) as row_filter
from pg_publication_rel r
join pg_publication p on p.oid = r.prpubid
join pg_class c on c.oid = r.prrelid
where c.relnamespace = %(namespace)s
union all
select c.oid, p.pubname::text, 'schema', '{}', null
from pg_publication_namespace n
join pg_publication p on p.oid = n.pnpubid
join pg_class c on c.relnamespace = n.pnnspid and c.relkind in ('r', 'p') and c.relpersistence = 'p'
where n.pnnspid = %(namespace)s
union all
select c.oid, p.pubname::text, 'all', '{}', null
from pg_publication p
join pg_class c on c.relnamespace = %(namespace)s and c.relkind in ('r', 'p') and c.relpersistence = 'p'
where p.puballtables
