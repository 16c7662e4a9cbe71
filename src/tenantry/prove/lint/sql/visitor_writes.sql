-- title: Anonymous clients write nothing
-- level: warning
-- why: Anyone on the internet can fill the table, anonymously.
-- fix: revoke insert, update, delete on … from anon, public; accept such input through a function that checks and limits it.
-- uses: grants, clauses
select r.object, g.who || ' has ' || string_agg(distinct g.privilege, ', ' order by g.privilege) as detail
  from relations as r
  join grants as g on g.oid = r.oid and g.privilege in ('INSERT', 'UPDATE', 'DELETE')
 where r.relkind in ('r', 'p') and (g.who = any (%(visitors)s::text[]) or g.who = 'PUBLIC')
   and (not r.relrowsecurity
        or exists (
           select from policies as p
             join pg_policy as q on q.oid = p.oid
             left join pg_roles as o on o.oid = any (q.polroles)
            where p.relation = r.oid and p.permissive
              and not exists (select from clauses as c where c.oid = p.oid and c.closed)
              and (p.for_public or o.rolname = any (%(visitors)s::text[]))
              and p.command = any (case g.privilege when 'INSERT' then '{a,*}' when 'UPDATE' then '{w,*}' else '{d,*}' end::"char"[])))
 group by r.object, g.who
 order by 1, 2
