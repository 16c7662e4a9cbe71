-- title: Policies read the caller once per statement, not once per row
-- level: warning
-- why: auth.uid() or current_setting() for each row makes long statements slow; a sub-select is evaluated once.
-- fix: Write (select auth.uid()) instead of auth.uid(), and likewise for the others.
-- uses: clauses
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' calls '
       || string_agg(f.oid::regprocedure::text, ', ' order by f.oid::regprocedure::text) || ' for each row' as detail
  from clauses as c
 cross join lateral unnest(c.per_row_callers) as f (oid)
 where not f.oid = any (c.per_row_calls)
 group by c.object, c.name, c.who, c.clause
 order by 1, 2
