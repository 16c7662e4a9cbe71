-- title: Every policy for clients has its condition, and for rows that are written a check of its own
-- mending: drop policy …, and create it again with USING and WITH CHECK as the access matrix says.
select c.relname::text || ': policy ' || p.polname || ' has ' || reason.text as violation
  from pg_policy as p
  join pg_class as c on c.oid = p.polrelid
 cross join lateral (values
       (p.polcmd in ('w', '*') and p.polwithcheck is null, 'no WITH CHECK'),
       (p.polcmd in ('r', 'w', 'd', '*') and p.polqual is null, 'no USING'),
       (pg_get_expr(p.polqual, p.polrelid) = 'true', 'USING (true)'),
       (pg_get_expr(p.polwithcheck, p.polrelid) = 'true', 'WITH CHECK (true)')) as reason (found, text)
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s))
   and p.polpermissive and reason.found
   and exists (
       select from unnest(p.polroles) as to_role (oid)
         left join pg_roles as r on r.oid = to_role.oid
        where to_role.oid = 0 or r.rolname = any (%(clients)s::text[]))
 order by 1
