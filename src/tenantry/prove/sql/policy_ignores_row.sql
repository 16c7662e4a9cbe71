-- title: Policies of a tenant's rows look at the row
-- level: warning
-- why: A condition about the caller alone is true for the rows of all tenants at once.
-- mending: Compare the row's tenant with the tenants in which the caller has the role that is asked for.
-- uses: clauses, tenant_columns
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' looks at no column of the table' as detail,
       -- What a function of one's own decides cannot be read here: an operator of the whole installation, perhaps.
       case when exists (
           select from unnest(c.calls) as f (oid)
             join pg_proc as p on p.oid = f.oid
            where p.oid >= 16384 and p.prorettype = 'bool'::regtype) then 'info' else 'warning' end as level
  from clauses as c
  join tenant_columns as t on t.oid = c.relation
 where c.permissive and c.columns = '{}' and not c.always and not c.nobody and not c.somebody and not c.never
   and not %(strict)s
   and not (t.is_root and c.command = 'a')
 order by 1, 2
