-- title: Unique keys of tenants' tables contain the tenant
-- level: error
-- why: The duplicate-key error reveals, bypassing policies, that another tenant has the value. The first tenant to use a value
--   blocks it for all.
-- fix: Put the tenant column first into the key: unique (tenant, …). A key of random uuids alone needs no change.
-- uses: tenant_columns, grants, policies
select r.object, 'unique ' || quote_ident(i.relname) || ' is over the rows of all tenants: '
       || pg_get_indexdef(x.indexrelid) as detail,
       case when %(user_owned)s then 'info' when texts.there then 'error' else 'warning' end as level
  from tenant_columns as t
  join relations as r on r.oid = t.oid and r.relkind in ('r', 'p') and not r.relispartition
  join pg_index as x on x.indrelid = r.oid and (x.indisunique or x.indisexclusion)
  join pg_class as i on i.oid = x.indexrelid
 cross join lateral (
       -- Numbers can be tried in turn, but reveal less than words; identity columns cannot be chosen.
       select bool_and(a.atttypid = 'uuid'::regtype or a.attidentity = 'a' or a.attgenerated <> '') as closed,
              bool_or(y.typcategory not in ('N', 'U') and a.atttypid <> 'uuid'::regtype) as there,
              -- A token from a default cannot be guessed, so a collision reveals nothing.
              bool_or(not (a.atthasdef and a.attname ~* '(token|secret|hash|nonce)')) as said,
              array_agg(a.attnum::int) as numbers
         from pg_attribute as a
         join pg_type as y on y.oid = a.atttypid
        where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
          and (a.attnum = any ((x.indkey::int2[])[0 : x.indnkeyatts - 1])
               -- Including columns within expressions.
               or pg_get_expr(x.indexprs, x.indrelid) ~ ('\m' || a.attname || '\M'))
       ) as texts
 where not t.is_root and coalesce(texts.said, true) and not t.number = any (coalesce(texts.numbers, '{}'))
   and not coalesce(texts.closed, false)
   and exists (
       select from grants as g
        where g.oid = r.oid and g.privilege in ('INSERT', 'UPDATE')
          and (g.number = 0 or g.number = any (texts.numbers))
          -- A right that no policy makes usable has no effect.
          and (%(strict)s or not r.relrowsecurity
               or exists (
                  select from policies as p
                   where p.relation = r.oid and p.permissive
                     and p.command in ('*', case g.privilege when 'INSERT' then 'a' else 'w' end::"char"))))
 order by 1, 2
