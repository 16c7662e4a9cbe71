-- title: Every row of a tenant's table has a tenant
-- level: info
-- why: A row without one is seen by nobody, until somebody adds `or tenant is null` to a policy, for all.
-- mending: alter table … alter column … set not null. Rows for all tenants belong into a table of their own.
-- uses: tenant_columns, relations
select r.object || '.' || quote_ident(a.attname) as object, 'the tenant column may be null' as detail
  from tenant_columns as t
  join relations as r on r.oid = t.oid and r.relkind in ('r', 'p') and not r.relispartition
  join pg_attribute as a on a.attrelid = t.oid and a.attnum = t.number
 where not t.is_root and not a.attnotnull
 order by 1
