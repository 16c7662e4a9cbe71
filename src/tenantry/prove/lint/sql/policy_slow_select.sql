-- title: Policies select once a statement, not once a row
-- level: warning
-- why: A sub-select that becomes a filter makes lookups by id and counts tens to hundreds of times slower: a way to exhaust the
--   server, and a reason for somebody to disable row-level security.
-- mending: tenant = any (array(select …)), or = any ((select f())::uuid[]) with a STABLE function: computed once, and an index serves.
-- uses: clauses
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ' has ' || array_to_string(c.per_row_selects, ', and ')
       || ' (' || string_agg(c.clause, ', ' order by c.clause) || ')' as detail
  from clauses as c
 where c.per_row_selects <> '{}'
   -- A row that is added is looked at by itself in any case.
   and not (c.command = 'a' and c.clause = 'WITH CHECK')
 group by c.object, c.name, c.who, c.per_row_selects
 order by 1, 2
