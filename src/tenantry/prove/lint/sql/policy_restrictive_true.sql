-- title: Restrictive policies restrict
-- level: warning
-- why: A restrictive policy that is always true looks like a limit on all others, but limits no caller.
-- fix: Write the intended condition for all rows and callers, or drop the policy.
-- uses: clauses
select c.object, 'restrictive policy ' || quote_ident(c.name) || ': ' || c.clause || ' is true for every row' as detail
  from clauses as c
 where not c.permissive and c.always
 order by 1, 2
