-- title: No policy matches a pattern that comes from the caller
-- level: warning
-- why: A caller's value with a wildcard matches rows of others; an empty value with an appended wildcard matches all rows.
-- fix: Compare with =, or with starts_with() over a value that the caller cannot choose.
-- uses: clauses
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' matches by '
       || array_to_string(c.patterns, ', ') || ' with a value of the caller''s' as detail
  from clauses as c
 where c.patterns <> '{}'
 order by 1, 2
