-- title: Every tenant's table has an index that begins with the tenant
-- level: info
-- why: Without one, each statement of a small tenant scans the rows of all: slow, and its duration reveals how many others have.
-- fix: create index concurrently on … (tenant, …), or begin the primary key with the tenant.
-- uses: tenant_columns, grants
select r.object, 'no index begins with ' || quote_ident(a.attname) as detail
  from tenant_columns as t
  join relations as r on r.oid = t.oid and r.relkind in ('r', 'p') and not r.relispartition
  join pg_attribute as a on a.attrelid = t.oid and a.attnum = t.number
 where not t.is_root and r.relrowsecurity
   and not exists (
       select from pg_index as x where x.indrelid = t.oid and x.indkey[0] = t.number and x.indisvalid and x.indpred is null)
 order by 1
