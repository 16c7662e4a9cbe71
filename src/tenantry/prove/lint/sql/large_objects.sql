-- title: Large objects are accessible to their owner only
-- level: error
-- why: Large objects have no policies: a grant opens the whole object, whichever tenant it belongs to.
-- fix: revoke all on large object … from …, public; set lo_compat_privileges = off; keep files in tables with a tenant column.
-- uses: reach
select '' as object, 'large object ' || m.oid || ': ' || h.who || ' has '
       || string_agg(distinct x.privilege_type, ', ' order by x.privilege_type) as detail
  from pg_largeobject_metadata as m
 cross join lateral aclexplode(coalesce(m.lomacl, acldefault('L', m.lomowner))) as x
  join reach as h on h.grantee = x.grantee
 group by m.oid, h.who
 union all
select '', 'lo_compat_privileges is on: large objects are open to everybody'
 where current_setting('lo_compat_privileges') = 'on'
 order by 2
