-- title: No permissive policy is for PUBLIC, nor, with a manifest, for anonymous clients or the login
-- level: error
-- why: A policy for PUBLIC opens its rows to every role that ever gets a right on the table, also to anonymous clients.
-- fix: drop policy …; write policies for the role of signed-in users, or for a role that is no client.
-- uses: policies
-- proof: yes
select p.object, 'policy ' || quote_ident(p.name) || ' is for ' || coalesce(r.rolname::text, 'PUBLIC') as detail,
       case when %(strict)s then 'error' else 'warning' end as level
  from policies as p
  join pg_policy as q on q.oid = p.oid
 cross join lateral unnest(q.polroles) as to_role (oid)
  left join pg_roles as r on r.oid = to_role.oid
 where (p.permissive or %(strict)s)
   and (to_role.oid = 0 or (%(strict)s and r.rolname in (%(anon)s, %(login)s)))
 order by 1, 2
