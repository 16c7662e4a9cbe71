-- title: No trigger of a table that clients write is switched off
-- level: error
-- why: A disabled trigger does nothing: clients choose authors and times, and what it should refuse is accepted.
-- fix: alter table … enable trigger …; or drop the trigger, if it is not needed.
-- uses: grants
select r.object, 'trigger ' || quote_ident(t.tgname) || case t.tgenabled when 'D' then ' is disabled' else ' fires in replicas only' end as detail,
       case when %(strict)s then 'error' else 'warning' end as level
  from relations as r
  join pg_trigger as t on t.tgrelid = r.oid and not t.tgisinternal and t.tgenabled in ('D', 'R')
 where exists (select from grants as g where g.oid = r.oid and g.privilege in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'))
   -- Tenantry's own triggers are disabled on the inactive side.
   and not coalesce((select p.pronamespace = to_regnamespace('tenantry') from pg_proc as p where p.oid = t.tgfoid), false)
 order by 1, 2
