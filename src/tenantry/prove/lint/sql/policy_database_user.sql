-- title: No policy identifies the person by the database role
-- level: warning
-- why: All callers of an API share one database role: its rows belong to every caller. session_user is the pool's login.
-- fix: Compare with the caller's id from the request, e.g. auth.uid().
-- uses: clauses
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' compares '
       || quote_ident(a.attname) || ' with the database role' as detail
  from clauses as c
 cross join lateral jsonb_array_elements(c.compared) as e
  join pg_attribute as a on a.attrelid = c.relation and a.attnum = (e ->> 0)::int
 where e ->> 2 = 'database user'
 order by 1, 2
