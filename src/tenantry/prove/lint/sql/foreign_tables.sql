-- title: Clients reach no foreign table
-- level: error
-- why: A foreign table can have no policies, and reaches the other server with one login for all callers.
-- fix: revoke all on … from …, public. Read it through a function that filters by the caller's tenants.
-- uses: grants
select r.object, g.who || ' has ' || string_agg(distinct g.privilege, ', ' order by g.privilege) as detail
  from relations as r
  join grants as g on g.oid = r.oid
 where r.relkind = 'f'
 group by r.object, g.who
 order by 1, 2
