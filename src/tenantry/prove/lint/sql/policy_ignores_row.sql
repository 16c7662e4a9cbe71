-- title: Policies of a tenant's rows depend on the row
-- level: error
-- why: A condition about the caller alone is true for the rows of all tenants at once.
-- fix: Compare the row's tenant with the tenants in which the caller has the required role.
-- uses: clauses, tenant_columns, children
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' looks at no column of the table'
       || coalesce('; its rows hang on those of ' || k.parent::regclass::text, '') as detail,
       -- The decision of a user-defined function cannot be read here: it may admit operators of the whole installation.
       case when t.oid is null then 'error'
            when exists (
           select from unnest(c.calls) as f (oid)
             join pg_proc as p on p.oid = f.oid
            where p.oid >= 16384 and p.prorettype = 'bool'::regtype) then 'info' else 'warning' end as level
  from clauses as c
  left join tenant_columns as t on t.oid = c.relation
  left join children as k on k.oid = c.relation
  join pg_class as r on r.oid = c.relation
 where c.permissive and c.columns = '{}' and not c.always and not c.nobody and not c.somebody and not c.never
   and not %(strict)s
   and not (coalesce(t.is_root, false) and c.command = 'a')
   -- Other tables may be for all members of any tenant, except tables of people and tables that reference a tenant's row.
   and (t.oid is not null or k.oid is not null
        or c.relations <> '{}' and c.command in ('r', '*')
           and r.relname ~* '^(auth_?)?(users?|profiles?|people|persons?|members?|contacts?|customers?|patients?|employees?|clients?)$')
 order by 1, 2
