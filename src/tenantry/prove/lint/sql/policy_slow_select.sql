-- title: Policies run sub-selects once per statement, not once per row
-- level: warning
-- why: A sub-select that becomes a filter makes lookups by id and counts tens to hundreds of times slower: a way to exhaust the
--   server, and a temptation to disable row-level security.
-- fix: tenant = any (array(select …)), or = any ((select f())::uuid[]) with a STABLE function: it is computed once, and an index can be used.
-- uses: clauses
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ' has ' || array_to_string(c.per_row_selects, ', and ')
       || ' (' || string_agg(c.clause, ', ' order by c.clause) || ')' as detail
  from clauses as c
 where c.per_row_selects <> '{}'
   -- An inserted row is always checked individually.
   and not (c.command = 'a' and c.clause = 'WITH CHECK')
 group by c.object, c.name, c.who, c.per_row_selects
 order by 1, 2
