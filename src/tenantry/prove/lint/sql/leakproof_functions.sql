-- title: No user-defined function is LEAKPROOF
-- level: error
-- why: The planner calls leakproof functions before the policies, on rows of all tenants; an error or a log message with its
--   argument reveals these rows.
-- fix: alter function … not leakproof. A function that is wrongly marked opens row-level security for every role that may call it.
select p.oid::regprocedure::text as object,
       'it is LEAKPROOF' || case when o.rolsuper then '' else ', and belongs to ' || o.rolname || ', who is no superuser' end as detail,
       case when o.rolsuper then 'warning' else 'error' end as level
  from pg_proc as p
  join pg_roles as o on o.oid = p.proowner
 where p.proleakproof and p.oid >= 16384
   and not exists (
       select from pg_depend as d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
 order by 1
