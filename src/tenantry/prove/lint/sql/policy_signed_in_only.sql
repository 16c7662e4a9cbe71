-- title: The rows of a tenant require more than a sign-in
-- level: error
-- why: Anyone who creates an account sees, or writes, the rows of all tenants.
-- fix: Compare the row's tenant with the tenants of the caller, in addition to or instead of testing whether the caller is signed in.
-- uses: clauses, tenant_columns, children
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' is true for everybody who signed in'
       || coalesce('; its rows hang on those of ' || k.parent::regclass::text, '') as detail,
       case when t.oid is not null or k.oid is not null then 'error' else 'warning' end as level
  from clauses as c
  left join tenant_columns as t on t.oid = c.relation
  left join children as k on k.oid = c.relation
 where c.permissive and c.somebody and not c.always and not c.nobody
   and (t.oid is not null or k.oid is not null and not %(strict)s or (c.command <> 'r' and not %(strict)s))
   -- Everybody may create their own tenant.
   and not (coalesce(t.is_root, false) and c.command = 'a')
 order by 1, 2
