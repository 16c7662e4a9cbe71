-- title: No rule rewrites statements of clients
-- level: error
-- why: The commands that a rule adds run with the rights, and under the policies, of the table's owner.
-- fix: drop rule … on …; use a trigger, which runs as the caller.
-- uses: grants
select r.object, 'rule ' || quote_ident(w.rulename) || ' rewrites '
       || case w.ev_type when '2' then 'UPDATE' when '3' then 'INSERT' else 'DELETE' end as detail,
       case when exists (
           select from grants as g
            where g.oid = r.oid
              and g.privilege = case w.ev_type when '2' then 'UPDATE' when '3' then 'INSERT' else 'DELETE' end)
            then 'error' else 'warning' end as level
  from relations as r
  join pg_rewrite as w on w.ev_class = r.oid and w.ev_type in ('2', '3', '4') and w.ev_enabled <> 'D'
 where w.ev_action::text ~ '\{QUERY :commandType [1-6]'
 order by 1, 2
