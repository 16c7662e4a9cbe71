-- title: No condition compares a column with itself
-- level: error
-- why: Within a sub-select a bare name means the inner table's column: org_id = org_id is true for every row, and the sub-select
--   accepts any membership instead of one in the row's tenant.
-- fix: Qualify the outer column with its table's name: m.org_id = notes.org_id.
-- uses: clauses
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' compares a column of '
       || string_agg(s.oid::regclass::text, ', ' order by s.oid::regclass::text) || ' with itself' as detail
  from clauses as c
 cross join lateral unnest(c.selves) as s (oid)
 group by c.object, c.name, c.who, c.clause
 order by 1, 2
