-- Reads the primary, unique, foreign key, check and exclusion constraints of all tables of the schema.
-- A foreign key to a partitioned table has one more entry on the same table for each partition, which nobody defined.
-- `enforced` is read through jsonb because its column is new in PostgreSQL 18.
select
    con.conrelid as relation,
    con.conname::text as name,
    case con.contype
        when 'p' then 'primary'
        when 'u' then 'unique'
        when 'f' then 'foreign'
        when 'c' then 'check'
        when 'x' then 'exclusion'
    end as kind,
    array(
        select a.attname::text
        from unnest(con.conkey) with ordinality as key (attnum, n)
        join pg_attribute a on a.attrelid = con.conrelid and a.attnum = key.attnum
        order by key.n
    ) as columns,
    pg_get_constraintdef(con.oid) as definition,
    case when con.contype = 'c' then pg_get_expr(con.conbin, con.conrelid) end as expression,
    con.condeferrable as deferrable,
    con.condeferred as initially_deferred,
    con.convalidated as validated,
    coalesce((to_jsonb(con) ->> 'conenforced')::bool, true) as enforced,
    coalesce(i.indnullsnotdistinct, false) as nulls_not_distinct,
    rn.nspname::text as ref_schema,
    rc.relname::text as ref_table,
    array(
        select a.attname::text
        from unnest(con.confkey) with ordinality as key (attnum, n)
        join pg_attribute a on a.attrelid = con.confrelid and a.attnum = key.attnum
        order by key.n
    ) as ref_columns,
    case con.confupdtype
        when 'r' then 'restrict' when 'c' then 'cascade' when 'n' then 'set null' when 'd' then 'set default'
        else 'no action'
    end as on_update,
    case con.confdeltype
        when 'r' then 'restrict' when 'c' then 'cascade' when 'n' then 'set null' when 'd' then 'set default'
        else 'no action'
    end as on_delete,
    array(
        select a.attname::text
        from unnest(con.confdelsetcols) with ordinality as key (attnum, n)
        join pg_attribute a on a.attrelid = con.conrelid and a.attnum = key.attnum
        order by key.n
    ) as on_delete_columns,
    case con.confmatchtype when 'f' then 'full' when 'p' then 'partial' else 'simple' end as match,
    obj_description(con.oid, 'pg_constraint') as comment,
    ic.relname::text as index,
    con.conparentid <> 0 or not con.conislocal as inherited
from pg_class c
join pg_constraint con on con.conrelid = c.oid and con.contype in ('p', 'u', 'f', 'c', 'x')
left join pg_constraint parent on parent.oid = con.conparentid
left join pg_index i on i.indexrelid = con.conindid and con.contype in ('p', 'u', 'x')
left join pg_class ic on ic.oid = i.indexrelid
left join pg_class rc on rc.oid = con.confrelid
left join pg_namespace rn on rn.oid = rc.relnamespace
where c.relnamespace = %(namespace)s
    and c.relkind in ('r', 'p', 'f')
    and parent.conrelid is distinct from con.conrelid
