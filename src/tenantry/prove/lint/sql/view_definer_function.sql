-- title: No view of clients reads tenants' tables through a definer function
-- level: warning
-- why: The view itself is bound by policies, but the function that it calls reads with its owner's rights for every caller.
-- fix: Let the function filter by the caller's tenants, or make it SECURITY INVOKER.
-- uses: grants, bodies, tenant_columns
select distinct r.object,
       g.who || ' reads the view, which calls ' || p.oid::regprocedure::text || ' with its owner''s rights' as detail
  from relations as r
  join grants as g on g.oid = r.oid and g.privilege = 'SELECT'
  join pg_rewrite as w on w.ev_class = r.oid
  join pg_depend as d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_proc'::regclass
  join pg_proc as p on p.oid = d.refobjid and p.prosecdef
  join bodies as b on b.oid = p.oid
 where r.relkind = 'v' and not b.caller
   and exists (select from tenant_columns as t where t.oid = any (b.reads))
 order by 1, 2
