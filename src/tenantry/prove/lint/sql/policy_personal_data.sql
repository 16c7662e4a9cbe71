-- title: Personal data is not visible to every caller
-- level: error
-- why: Callers with or without an account can read the addresses and numbers of the people of all tenants in one query.
-- fix: Let people see themselves and their colleagues; show the rest from a view, or from columns that are granted one by one.
-- uses: clauses, personal, tenant_columns, children
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' opens ' || p.columns || ' to '
       || case when c.always or c.nobody then 'everybody' when c.somebody then 'everybody who signed in'
               else 'whoever belongs anywhere: it looks at no column of the row' end as detail
  from clauses as c
  join personal as p on p.oid = c.relation
 where c.permissive and c.command in ('r', '*') and c.clause = 'USING' and not c.never
   and (c.always or c.somebody or c.columns = '{}' and c.relations <> '{}')
   -- Other checks cover the rows of tenants.
   and c.relation not in (select t.oid from tenant_columns as t union all select k.oid from children as k)
 order by 1, 2
