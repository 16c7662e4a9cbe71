-- title: The login itself, anonymous clients and PUBLIC have no right on any table of the target
-- level: error
-- why: These rights need no role of a signed-in user; only policies for PUBLIC would protect the rows.
-- fix: revoke all on … from …; grant rights only to the role of signed-in users.
-- uses: grants
-- needs: manifest
-- proof: yes
select r.object, g.who || ' has ' || string_agg(distinct g.privilege, ', ' order by g.privilege) as detail
  from relations as r
  join grants as g on g.oid = r.oid
 where r.relkind in ('r', 'p', 'v', 'm', 'f') and g.who in ('PUBLIC', %(anon)s, %(login)s)
 group by r.object, g.who
 order by 1, 2
