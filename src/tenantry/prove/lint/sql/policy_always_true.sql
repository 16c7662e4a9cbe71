-- title: No policy for clients lets every row through
-- level: error
-- why: A condition that is true for each row opens the rows of all tenants to every role of the policy.
-- fix: Compare the row's tenant with the tenants of the caller. For intentionally shared data, revoke the rights to write.
-- uses: clauses, tenant_columns, children
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' is true for every row'
       || coalesce('; its rows hang on those of ' || k.parent::regclass::text, '') as detail,
       case when t.oid is null and (k.oid is null or %(strict)s) and c.command = 'r' then 'info'
            -- Everybody may create their own tenant.
            when t.is_root and c.command = 'a' then 'warning'
            else 'error' end as level
  from clauses as c
  left join tenant_columns as t on t.oid = c.relation
  left join children as k on k.oid = c.relation
 where c.permissive and c.always
 order by 1, 2
