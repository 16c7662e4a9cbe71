-- title: The tenant column has no constant default
-- level: warning
-- why: A row without a stated tenant is stored in one tenant, whose members can read it.
-- fix: alter table … alter column … drop default, or let the default return the caller's tenant.
-- uses: tenant_columns, relations
select r.object || '.' || quote_ident(a.attname) as object, 'the tenant is by default ' || pg_get_expr(d.adbin, d.adrelid) as detail
  from tenant_columns as t
  join relations as r on r.oid = t.oid and r.relkind in ('r', 'p') and not r.relispartition
  join pg_attribute as a on a.attrelid = t.oid and a.attnum = t.number
  join pg_attrdef as d on d.adrelid = t.oid and d.adnum = t.number
 -- A constant: the stored expression calls only casts.
 where not t.is_root and d.adbin::text !~ '\{(FUNCEXPR|SQLVALUEFUNCTION|OPEXPR|SUBLINK) ' and d.adbin::text ~ '\{CONST '
   and d.adbin::text !~ ':constisnull true'
 order by 1
