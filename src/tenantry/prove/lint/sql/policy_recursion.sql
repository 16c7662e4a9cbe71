-- title: No policy queries its own table
-- level: error
-- why: PostgreSQL refuses every statement of clients with 42P17, infinite recursion, and people are tempted to disable row-level
--   security.
-- fix: Query the table for the caller through a SECURITY DEFINER function with a fixed search_path, which bypasses its policies.
-- uses: clauses, relations
with edges as (
    select distinct c.relation, c.command, c.clause, (a.value ->> 'relation')::oid as target
      from clauses as c
     cross join lateral jsonb_array_elements(c.asked) as a
     where c.relrowsecurity
), walks as (
    select e.relation as start, e.command, e.target as at, array[e.relation] as path, e.relation = e.target as back
      from edges as e
     union all
    select w.start, w.command, e.target, w.path || w.at, e.target = any (w.path || w.at)
      from walks as w
      -- A sub-select reads, so only USING applies.
      join edges as e on e.relation = w.at and e.command in ('r', '*') and e.clause = 'USING'
     where not w.back and cardinality(w.path) < 8
)
select r.object, 'a policy for ' || case w.command when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' when 'd' then 'DELETE'
                                   else 'all commands' end
       || ' asks the table that it is for' || case when cardinality(w.path) > 1 then ', by way of '
           || (select string_agg(p::regclass::text, ', ' order by n) from unnest(w.path[2:]) with ordinality as u (p, n)) else '' end as detail
  from walks as w
  join relations as r on r.oid = w.start
 where w.back and w.at = w.start
   -- Only a policy that queries tables is inspected further.
   and exists (select from edges as e where e.relation = w.at and e.command in ('r', '*') and e.clause = 'USING')
 group by r.object, w.command, w.path
 order by 1, 2
