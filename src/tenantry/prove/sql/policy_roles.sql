-- title: No policy of the target is for PUBLIC, for visitors or for the login
-- mending: drop policy …; policies are written to the role of people who signed in, or to a role that is no client.
select c.relname::text || ': policy ' || p.polname || ' is for ' || coalesce(r.rolname::text, 'PUBLIC') as violation
  from pg_policy as p
  join pg_class as c on c.oid = p.polrelid
 cross join lateral unnest(p.polroles) as to_role (oid)
  left join pg_roles as r on r.oid = to_role.oid
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s))
   and (to_role.oid = 0 or r.rolname in (%(anon)s, %(login)s))
 order by 1
