-- title: Clients write no table that all tenants share
-- level: warning
-- why: All other tenants read, or lose, what one tenant writes there.
-- fix: revoke insert, update, delete on … from …; or give the table a tenant column, or a column for the person that its policies
--   compare.
-- uses: clauses, grants, tenant_columns
-- needs: tenant
select c.object, 'policy ' || quote_ident(c.name) || ' lets ' || c.who || ' write rows that belong to no tenant and to nobody' as detail
  from clauses as c
 where c.permissive and c.command <> 'r' and not c.never and not %(strict)s
   and c.relation not in (select t.oid from tenant_columns as t)
   and not exists (
       select from jsonb_array_elements(c.compared) as e where e ->> 2 in ('caller', 'function', 'row'))
   -- If a referenced row of a tenant decides, the row belongs to that tenant.
   and not (c.columns <> '{}' and exists (
       select from unnest(c.relations) as s (oid) join tenant_columns as t on t.oid = s.oid))
   -- A user-defined function may restrict it, e.g. to operators of the whole installation.
   and not exists (
       select from unnest(c.calls) as f (oid)
         join pg_proc as p on p.oid = f.oid
        where p.oid >= 16384 and p.prorettype = 'bool'::regtype)
   and exists (
       select from grants as g
        where g.oid = c.relation
          and g.privilege = any (case c.command when 'a' then '{INSERT}' when 'w' then '{UPDATE}' when 'd' then '{DELETE}'
                                                else '{INSERT,UPDATE,DELETE}' end::text[]))
 order by 1, 2
