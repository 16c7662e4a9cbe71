-- title: Unique keys of tenants' tables contain the tenant
-- level: error
-- why: The duplicate-key error says that another tenant has the value, row by row and past every policy; and whoever comes first
--   blocks it for all.
-- mending: Put the tenant column first into the key: unique (tenant, …). A key of random uuids alone needs no change.
-- uses: tenant_columns, grants
select r.object, 'unique ' || quote_ident(i.relname) || ' is over the rows of all tenants: '
       || pg_get_indexdef(x.indexrelid) as detail,
       case when texts.there then 'error' else 'warning' end as level
  from tenant_columns as t
  join relations as r on r.oid = t.oid and r.relkind in ('r', 'p') and not r.relispartition
  join pg_index as x on x.indrelid = r.oid and (x.indisunique or x.indisexclusion)
  join pg_class as i on i.oid = x.indexrelid
 cross join lateral (
       -- Numbers can be tried one after the other, but say less than words; identity columns cannot be chosen at all.
       select bool_and(a.atttypid = 'uuid'::regtype or a.attidentity = 'a' or a.attgenerated <> '') as closed,
              bool_or(a.attnum is null or y.typcategory not in ('N', 'U') and a.atttypid <> 'uuid'::regtype) as there
         from unnest((x.indkey::int2[])[0 : x.indnkeyatts - 1]) as k (number)
         left join pg_attribute as a on a.attrelid = r.oid and a.attnum = k.number and k.number > 0
         left join pg_type as y on y.oid = a.atttypid
       ) as texts
 where not t.is_root and not t.number = any ((x.indkey::int2[])[0 : x.indnkeyatts - 1])
   and not coalesce(texts.closed, false)
   and exists (
       select from grants as g
        where g.oid = r.oid and g.privilege in ('INSERT', 'UPDATE')
          and (g.number = 0 or g.number = any (x.indkey::int2[])))
 order by 1, 2
