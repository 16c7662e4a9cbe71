-- title: Clients can call no definer function of the target that anybody could turn against its owner
-- mending: revoke all on function … from public, and set its search_path to pg_catalog, pg_temp.
select p.oid::regprocedure::text || ': ' || reason.text as violation
  from pg_proc as p
 cross join lateral (values
       (not exists (select from unnest(p.proconfig) as setting where setting like 'search_path=%%'),
        'it has no fixed search_path'),
       (exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as g where g.grantee = 0),
        'PUBLIC may execute it')) as reason (found, text)
 where p.pronamespace = to_regnamespace(quote_ident(%(schema)s)) and p.prosecdef and reason.found
 order by 1
