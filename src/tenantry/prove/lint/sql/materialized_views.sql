-- title: Clients read no materialized view
-- level: error
-- why: It holds rows of all tenants, as its owner saw them, and can have no policies.
-- fix: revoke all on … from …, public. Let clients read it through a security_invoker view that compares the tenant, or not at all.
-- uses: grants
-- proof: yes
select r.object, g.who || ' may read the rows of all tenants' as detail
  from relations as r
  join grants as g on g.oid = r.oid and g.privilege = 'SELECT'
 where r.relkind = 'm'
 group by r.object, g.who
 order by 1, 2
