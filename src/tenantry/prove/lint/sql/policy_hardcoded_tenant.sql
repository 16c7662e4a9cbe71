-- title: No policy names a tenant
-- level: warning
-- why: A tenant that is named in a policy is open, or special, for every caller of the policy.
-- fix: Compare the row's tenant with the tenants of the caller. Rows for all tenants belong in a separate table.
-- uses: clauses, tenant_columns
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' compares '
       || quote_ident(a.attname) || ' with a constant' as detail
  from clauses as c
 cross join lateral jsonb_array_elements(c.compared) as e
  join tenant_columns as t on t.oid = c.relation and t.number = (e ->> 0)::int
  join pg_attribute as a on a.attrelid = c.relation and a.attnum = t.number
 where e ->> 1 = '=' and e ->> 2 = 'constant' and c.permissive
 order by 1, 2
