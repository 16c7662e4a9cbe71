-- title: The WITH CHECK of a policy is as strict as its USING
-- level: error
-- why: A caller can turn their own row into a row of another tenant, or plant one there.
-- fix: Let WITH CHECK test these columns as USING does; without WITH CHECK PostgreSQL takes USING for both.
-- uses: clauses, tenant_columns, grants
select u.object, 'policy ' || quote_ident(u.name) || ' for ' || u.who || ': USING looks at ' || quote_ident(a.attname)
       || ', WITH CHECK does not' as detail,
       case when t.number = a.attnum then 'error' else 'warning' end as level
  from clauses as u
  join clauses as k on k.oid = u.oid and k.clause = 'WITH CHECK'
  left join tenant_columns as t on t.oid = u.relation
 cross join lateral unnest(u.columns) as c (number)
  join pg_attribute as a on a.attrelid = u.relation and a.attnum = c.number
 where u.clause = 'USING' and u.permissive and u.command in ('w', '*')
   and not c.number = any (k.columns)
   and (t.number = c.number
        or exists (select from jsonb_array_elements(u.compared) as e where (e ->> 0)::int = c.number and e ->> 2 = 'caller'))
   and exists (
       select from grants as g
        where g.oid = u.relation and g.number in (0, c.number)
          and g.privilege = any (case when u.command = '*' then '{INSERT,UPDATE}' else '{UPDATE}' end::text[]))
 order by 1, 2
