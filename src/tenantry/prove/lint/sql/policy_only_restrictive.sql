-- title: Tables with restrictive policies have permissive ones too
-- level: info
-- why: Restrictive policies only reduce access: without a permissive one no caller sees any row, and a hasty fix may open too much.
-- fix: Add the intended permissive policy, or revoke the right.
-- uses: policies
select p.object, 'all policies for ' || string_agg(distinct p.who, ', ') || ' are restrictive' as detail
  from policies as p
 group by p.object
having not bool_or(p.permissive)
 order by 1
