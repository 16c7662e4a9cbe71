-- title: No client may set what only superusers set
-- level: error
-- why: session_replication_role = replica, for one, switches triggers and foreign keys off.
-- fix: revoke set, alter system on parameter … from …, public.
-- uses: reach
select '' as object, h.who || ' has ' || x.privilege_type || ' on parameter ' || p.parname as detail
  from pg_parameter_acl as p
 cross join lateral aclexplode(p.paracl) as x
  join reach as h on h.grantee = x.grantee
 order by 2
