-- title: Policies compare the tenant column without a cast
-- level: warning
-- why: tenant::text = … is computed for each row, and no index on the tenant can be used: every statement reads the rows of all tenants.
-- fix: Cast the other side: tenant = (select …)::uuid.
-- uses: clauses, tenant_columns
select distinct c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' casts, or computes with, '
       || quote_ident(a.attname) as detail
  from clauses as c
  join tenant_columns as t on t.oid = c.relation
  join pg_attribute as a on a.attrelid = t.oid and a.attnum = t.number
 cross join lateral jsonb_array_elements(c.compared) as e
 where (e ->> 0)::int = t.number and (e ->> 3)::boolean
   and not exists (
       select from jsonb_array_elements(c.compared) as o
        where (o ->> 0)::int = t.number and not (o ->> 3)::boolean)
 order by 1, 2
