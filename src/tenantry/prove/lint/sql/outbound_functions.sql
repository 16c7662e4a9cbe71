-- title: Clients call no function that reaches other servers
-- level: error
-- why: A request to the attacker's server sends rows out of the database, and the attacker reaches whatever the database server can reach.
-- fix: revoke execute on function … from public, anon, authenticated; revoke usage on the extension's schema.
-- uses: reach
select p.oid::regprocedure::text as object, string_agg(distinct h.who, ', ' order by h.who) || ' may call it' as detail
  from pg_proc as p
  join pg_namespace as n on n.oid = p.pronamespace
  left join pg_depend as d on d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
       and d.refclassid = 'pg_extension'::regclass
  left join pg_extension as e on e.oid = d.refobjid
 cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as x
  join reach as h on h.grantee = x.grantee
 where p.oid >= 16384 and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
   and (e.extname in ('dblink', 'http', 'pg_net', 'plproxy', 'pg_background', 'aws_s3', 'aws_lambda', 'pg_curl', 'redis_fdw')
        or p.proname ~ '^(dblink(_|$)|http_(get|post|put|patch|delete|head|request)$)')
   and exists (
       select from aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) as u
         join reach as o on o.grantee = u.grantee
        where u.privilege_type = 'USAGE')
 group by p.oid
 order by 1
