-- title: Restrictive policies stand beside permissive ones
-- level: info
-- why: Restrictive policies only take away: without a permissive one nobody sees anything, and somebody will mend that in a hurry.
-- mending: Add the permissive policy that was meant, or revoke the right.
-- uses: policies
select p.object, 'all policies for ' || string_agg(distinct p.who, ', ') || ' are restrictive' as detail
  from policies as p
 group by p.object
having not bool_or(p.permissive)
 order by 1
