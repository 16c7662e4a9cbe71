-- title: Policies call no volatile function
-- level: warning
-- why: Its result may differ from row to row within a statement: visible rows depend on chance or on timing.
-- fix: Declare the function STABLE if it is stable, or remove it from the policy.
-- uses: clauses
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' calls '
       || string_agg(p.oid::regprocedure::text, ', ' order by p.oid::regprocedure::text) || ', which is volatile' as detail
  from clauses as c
 cross join lateral unnest(c.calls) as f (oid)
  join pg_proc as p on p.oid = f.oid
 where p.provolatile = 'v'
   -- An ended share must disappear at once (policy_frozen_time).
   and p.oid <> 'pg_catalog.clock_timestamp()'::regprocedure
 group by c.object, c.name, c.who, c.clause
 order by 1, 2
