-- title: No flag that users may set on their own row opens the rows of others
-- level: error
-- why: Callers who may update their own profile make themselves staff with one statement, and the policy then opens every tenant to them.
-- fix: revoke update on … from …, then grant it again column by column without the flag; or keep it in a table that only the
--   service writes.
-- uses: clauses, bodies, grants, guarded
with recursive called as (
    select c.oid as policy, c.clause, unnest(c.calls) as oid from clauses as c
     union
    select c.policy, c.clause, unnest(b.calls) from called as c join bodies as b on b.oid = c.oid
), asked as (
    select c.oid as policy, c.clause, (a.value ->> 'relation')::oid as relation, l.value::int as number
      from clauses as c
     cross join lateral jsonb_array_elements(c.asked) as a
     cross join lateral jsonb_array_elements_text(a.value -> 'loose') as l
     where (a.value ->> 'caller')::boolean and not (a.value ->> 'row')::boolean
     union
    select k.policy, k.clause, (a.value ->> 'relation')::oid, l.value::int
      from called as k
      join bodies as b on b.oid = k.oid
      join pg_proc as p on p.oid = b.oid and p.prorettype = 'bool'::regtype
     cross join lateral jsonb_array_elements(b.asks) as a
     cross join lateral jsonb_array_elements_text(a.value -> 'loose') as l
     where not (a.value ->> 'tied')::boolean and (a.value ->> 'caller')::boolean
)
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' believes '
       || string_agg(distinct r.object || '.' || quote_ident(n.attname), ', ' order by r.object || '.' || quote_ident(n.attname))
       || ', which ' || string_agg(distinct g.who, ', ' order by g.who) || ' may change in rows of their own' as detail
  from clauses as c
  join asked as a on a.policy = c.oid and a.clause = c.clause
  join relations as r on r.oid = a.relation
  join pg_attribute as n on n.attrelid = a.relation and n.attnum = a.number
  join grants as g on g.oid = a.relation and g.privilege = 'UPDATE' and g.number in (0, a.number)
 where c.permissive and a.relation <> c.relation
   and not exists (select from guarded as k where k.oid = a.relation and k.number = a.number)
   and (not r.relrowsecurity
        or exists (
           select from clauses as w
            where w.relation = a.relation and w.permissive and not w.never and w.command in ('w', '*')
              and (w.clause = 'WITH CHECK' or w.without_check) and not a.number = any (w.columns)
              -- The row is the caller's own, not one that administrators of other people control.
              and exists (select from jsonb_array_elements(w.compared) as e where e ->> 2 = 'caller')))
 group by c.object, c.name, c.who, c.clause
 order by 1, 2
