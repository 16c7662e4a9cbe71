-- title: No client may grant its rights to others
-- level: warning
-- why: A right with grant option can be granted permanently to PUBLIC, or to an unexpected role.
-- fix: revoke grant option for all on … from ….
-- uses: relations, reach
select r.object, h.who || ' may pass on ' || string_agg(distinct x.privilege_type, ', ' order by x.privilege_type) as detail
  from relations as r
 cross join lateral (
       select * from aclexplode(r.relacl)
        union all
       select y.* from pg_attribute as a cross join lateral aclexplode(a.attacl) as y where a.attrelid = r.oid
       ) as x
  join reach as h on h.grantee = x.grantee
 where x.is_grantable and x.grantee <> r.relowner
 group by r.object, h.who
 order by 1, 2
