-- title: Every row of a tenant's table has a tenant
-- level: info
-- why: No caller sees a row without a tenant, until a policy gets `or tenant is null`, which shows it to all.
-- fix: alter table … alter column … set not null. Rows for all tenants belong in a separate table.
-- uses: tenant_columns, relations
select r.object || '.' || quote_ident(a.attname) as object, 'the tenant column may be null' as detail
  from tenant_columns as t
  join relations as r on r.oid = t.oid and r.relkind in ('r', 'p') and not r.relispartition
  join pg_attribute as a on a.attrelid = t.oid and a.attnum = t.number
 where not t.is_root and not a.attnotnull
 order by 1
