-- title: Every policy for clients has its condition, and for written rows its own check
-- level: error
-- why: A condition that is missing or always true allows the rows of all tenants.
-- fix: drop policy …, and create it again with USING and WITH CHECK as the access matrix says.
-- uses: policies
-- needs: manifest
-- proof: yes
select p.object, 'policy ' || quote_ident(p.name) || ' has ' || reason.text as detail
  from policies as p
  join pg_policy as q on q.oid = p.oid
 cross join lateral (values
       (p.command in ('w', '*') and p.without_check, 'no WITH CHECK'),
       (p.command in ('r', 'w', 'd', '*') and p.without_using, 'no USING'),
       (pg_get_expr(q.polqual, q.polrelid) = 'true', 'USING (true)'),
       (pg_get_expr(q.polwithcheck, q.polrelid) = 'true', 'WITH CHECK (true)')) as reason (found, text)
 where p.permissive and reason.found
 order by 1, 2
