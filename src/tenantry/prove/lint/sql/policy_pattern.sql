-- title: No policy takes a pattern from the caller
-- level: warning
-- why: A value of the caller's that holds a wildcard matches rows of others; one that is empty, with a wildcard behind it, all.
-- mending: Compare with =, or with starts_with() over a value that the caller cannot choose.
-- uses: clauses
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' matches by '
       || array_to_string(c.patterns, ', ') || ' with a value of the caller''s' as detail
  from clauses as c
 where c.patterns <> '{}'
 order by 1, 2
