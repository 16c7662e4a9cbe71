-- title: Policies call no function of the row's columns
-- level: warning
-- why: The function is called for each row that a statement scans, thousands of times slower than a comparison.
-- fix: Let a function return the caller's tenants, and call it once: tenant = any ((select f())::uuid[]).
-- uses: clauses
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ' calls '
       || string_agg(distinct p.oid::regprocedure::text, ', ' order by p.oid::regprocedure::text) || ' for each row ('
       || string_agg(distinct c.clause, ', ') || ')' as detail
  from clauses as c
 cross join lateral unnest(c.per_row_calls) as f (oid)
  join pg_proc as p on p.oid = f.oid
 where p.oid >= 16384
 group by c.object, c.name, c.who
 order by 1, 2
