-- title: The functions of schema tenantry have a fixed search_path, and no definer function is open to PUBLIC
-- level: error
-- why: A caller who can place an object before the intended one in the search path makes the context functions run it with their rights.
-- fix: alter function … set search_path = pg_catalog, pg_temp; revoke all on function … from public.
-- needs: tenantry
-- proof: yes
select p.oid::regprocedure::text as object, reason.text as detail
  from pg_proc as p
 cross join lateral (values
       (not exists (
            select from unnest(p.proconfig) as setting
             where setting in ('search_path=pg_catalog, pg_temp', 'search_path="pg_catalog", "pg_temp"')),
        'its search_path is not pg_catalog, pg_temp'),
       (p.prosecdef and exists (
            select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as g where g.grantee = 0),
        'PUBLIC may execute it')) as reason (found, text)
 where p.pronamespace = to_regnamespace('tenantry') and reason.found
 order by 1, 2
