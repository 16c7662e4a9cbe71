-- title: Policies of a tenant's rows look at the row
-- level: error
-- why: A condition about the caller alone is true for the rows of all tenants at once.
-- mending: Compare the row's tenant with the tenants in which the caller has the role that is asked for.
-- uses: clauses, tenant_columns, children
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' looks at no column of the table'
       || coalesce('; its rows hang on those of ' || k.parent::regclass::text, '') as detail,
       -- What a function of one's own decides cannot be read here: an operator of the whole installation, perhaps.
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
   -- Other tables may be for all who belong anywhere; those of people are not, nor what hangs on a tenant's row.
   and (t.oid is not null or k.oid is not null
        or c.relations <> '{}' and c.command in ('r', '*')
           and r.relname ~* '^(auth_?)?(users?|profiles?|people|persons?|members?|contacts?|customers?|patients?|employees?|clients?)$')
 order by 1, 2
