-- title: No condition is true without a signed-in caller
-- level: error
-- why: auth.uid() and similar functions are null for anonymous clients: `is null or …` gives them every row.
-- fix: Reverse the test: without a caller the condition must be false. Compare with `=`, which is never true for null.
-- uses: clauses
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' is true without a caller' as detail
  from clauses as c
 where c.permissive and c.nobody and not c.always
 order by 1, 2
