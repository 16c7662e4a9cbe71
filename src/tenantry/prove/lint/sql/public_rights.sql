-- title: PUBLIC has no right on tables, views and sequences
-- level: warning
-- why: Every role of the cluster has it, including roles that are created later for another purpose.
-- fix: revoke all on … from public; grant the needed rights to specific roles.
-- uses: grants
select r.object, 'PUBLIC has ' || string_agg(distinct g.privilege, ', ' order by g.privilege) as detail
  from relations as r
  join grants as g on g.oid = r.oid
 where g.who = 'PUBLIC' and not (%(strict)s and r.relkind <> 'S')
 group by r.object
 order by 1
