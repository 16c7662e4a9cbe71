-- title: Anonymous clients call no definer function
-- level: warning
-- why: Anyone who knows the address can call it without an account, with its owner's rights.
-- fix: revoke execute on function … from public, anon; grant it to the role of signed-in users.
-- uses: functions, callable, reach
select f.oid::regprocedure::text as object, c.who || ' may call it' as detail
  from functions as f
  join callable as c on c.oid = f.oid
  join pg_proc as p on p.oid = f.oid
 where f.definer and c.by_visitors and f.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
   and exists (
       select from pg_namespace as n
        cross join lateral aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) as x
         join reach as h on h.grantee = x.grantee
        where n.oid = p.pronamespace and x.privilege_type = 'USAGE' and (h.who = 'PUBLIC' or h.who = any (%(visitors)s::text[])))
 order by 1
