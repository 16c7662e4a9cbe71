-- title: Views that filter rows for others are security barriers
-- level: warning
-- why: Without security_barrier the planner may call a reader's function on rows that the view filters out, and the function can
--   record them.
-- fix: alter view … set (security_barrier = true), or better (security_invoker = true) over tables with policies.
-- uses: grants, view_sources
with filters as (
    -- Views with a condition: their stored query has one.
    select w.ev_class as view from pg_rewrite as w where w.ev_type = '1' and w.ev_action::text ~ ':quals \{'
)
select r.object, string_agg(distinct g.who, ', ' order by g.who) || ' may read the view, whose condition is no barrier' as detail
  from relations as r
  join grants as g on g.oid = r.oid and g.privilege = 'SELECT'
  join filters as f on f.view = r.oid
 where r.relkind = 'v'
   and not exists (
       select from pg_options_to_table(r.reloptions) as o
        where o.option_name in ('security_invoker', 'security_barrier')
          and lower(o.option_value) in ('true', 'on', 'yes', '1'))
   and exists (select from view_sources as s where s.view = r.oid and s.relkind in ('r', 'p', 'f', 'm'))
 group by r.object
 order by 1, 2
