-- title: Clients cannot call a definer function without a fixed search_path
-- level: error
-- why: Without a fixed search_path the caller decides which tables and operators the function means, with its owner's rights.
-- fix: revoke all on function … from public, and set its search_path to pg_catalog, pg_temp.
-- uses: functions, callable
-- proof: yes
select f.oid::regprocedure::text as object, reason.text as detail, reason.level
  from functions as f
  left join callable as c on c.oid = f.oid
 cross join lateral (values
       (f.path is null, 'it has no fixed search_path', case when %(strict)s or c.oid is not null then 'error' else 'warning' end),
       (exists (select from aclexplode(coalesce(f.proacl, acldefault('f', f.owner))) as g where g.grantee = 0)
           and (%(strict)s or f.prorettype <> 'trigger'::regtype),
        'PUBLIC may execute it', case when %(strict)s then 'error' else 'warning' end)) as reason (found, text, level)
 where f.definer and reason.found
 order by 1, 2
