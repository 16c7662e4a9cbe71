-- title: Views show clients only what they may see themselves
-- level: error
-- why: A view reads its tables with its owner's rights and policies, and so can show or change the rows of all tenants.
-- fix: alter view … set (security_invoker = true), so that the policies of its tables bind the caller.
-- uses: grants, view_sources
-- proof: yes
with held as (
    select r.oid, r.object, g.who, string_agg(distinct g.privilege, ', ' order by g.privilege) as rights
      from relations as r
      join grants as g on g.oid = r.oid and g.privilege in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
     where r.relkind = 'v'
       and not exists (
           select from pg_options_to_table(r.reloptions) as o
            where o.option_name = 'security_invoker' and lower(o.option_value) in ('true', 'on', 'yes', '1'))
       and (%(strict)s or exists (select from view_sources as s where s.view = r.oid and s.relrowsecurity))
     group by r.oid, r.object, g.who
)
select object, rights || ' for ' || string_agg(who, ', ' order by who) || ' on the view, which reads with the rights of its owner'
       || coalesce(' ' || (select string_agg(s.object, ', ' order by s.object) from view_sources as s
                            where s.view = held.oid and s.relrowsecurity), '') as detail
  from held
 group by oid, object, rights
 order by 1, 2
