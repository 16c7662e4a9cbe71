-- title: A policy tests the caller's role in the row's tenant
-- level: error
-- why: A guest here who is an administrator elsewhere passes both tests, and has an administrator's rights here.
-- fix: Test tenant and role together: tenant = any (the tenants in which the caller has the role).
-- uses: clauses, bodies, tenant_columns
-- needs: membership, tenant
with members as (
    -- Functions that read memberships, and those that call them.
    select b.oid from bodies as b where %(membership)s::oid = any (b.reads)
     union
    select o.oid from bodies as b join bodies as o on b.oid = any (o.calls) where %(membership)s::oid = any (b.reads)
)
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause
       || ' asks for memberships without the row''s tenant' as detail
  from clauses as c
  join tenant_columns as t on t.oid = c.relation
 where c.permissive and not c.always and not (t.is_root and c.command = 'a')
   and exists (
       select from jsonb_to_recordset(c.leaves) as l (columns int[], calls oid[], relations oid[])
        where l.columns = '{}'
          and (%(membership)s::oid = any (l.relations) or exists (select from members as m where m.oid = any (l.calls))))
 order by 1, 2
