-- Reads the tables of the schema, partitioned, partition and foreign ones included, with owner, parents and size.
select
    c.oid,
    c.relname::text as name,
    case
        when c.relkind = 'p' then 'partitioned'
        when c.relkind = 'f' then 'foreign'
        when c.relispartition then 'partition'
        else 'table'
    end as kind,
    pg_get_userbyid(c.relowner)::text as owner,
    obj_description(c.oid, 'pg_class') as comment,
    c.relrowsecurity as rls_enabled,
    c.relforcerowsecurity as rls_forced,
    case c.relreplident when 'f' then 'full' when 'n' then 'nothing' when 'i' then 'index' else 'default' end
        as replica_identity,
    (
        select ic.relname::text
        from pg_index i
        join pg_class ic on ic.oid = i.indexrelid
        where i.indrelid = c.oid and i.indisreplident
    ) as replica_identity_index,
    case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end as partition_key,
    pg_get_expr(c.relpartbound, c.oid) as partition_bound,
    c.relispartition as is_partition,
    array(
        select array[pn.nspname::text, p.relname::text]
        from pg_inherits h
        join pg_class p on p.oid = h.inhparent
        join pg_namespace pn on pn.oid = p.relnamespace
        where h.inhrelid = c.oid
        order by h.inhseqno
    ) as parents,
    array(
        with recursive below (oid) as (
            select h.inhrelid from pg_inherits h where h.inhparent = c.oid and not h.inhdetachpending
            union
            select h.inhrelid from below b join pg_inherits h on h.inhparent = b.oid and not h.inhdetachpending
        )
        select array[bn.nspname::text, bc.relname::text, case bc.relkind when 'f' then 'foreign' else 'table' end]
        from below b
        join pg_class bc on bc.oid = b.oid and bc.relkind <> 'p'
        join pg_namespace bn on bn.oid = bc.relnamespace
        order by 1
    ) as below,
    case c.relpersistence when 'u' then 'unlogged' when 't' then 'temporary' else 'permanent' end as persistence,
    coalesce(c.reloptions, '{}') as options,
    c.reltuples::int8 as row_estimate,
    coalesce(pg_total_relation_size(c.oid), 0) as size_bytes
from pg_class c
where c.relnamespace = %(namespace)s
    and c.relkind in ('r', 'p', 'f')
    and not exists (
        select from pg_depend d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
