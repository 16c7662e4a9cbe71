-- title: A link opens a row only where its maker may open it
-- level: error
-- why: A caller who may create links with any id can link to any row, and the policy of that row
--   trusts the link.
-- fix: Let WITH CHECK of the table of links test that the linked row is the caller's: file_id in (select id from file
--   where user_id = (select auth.uid())).
-- uses: clauses, grants
with links as (
    -- Two references to one table, by its id and by tenant and id, count as one.
    select c.oid, c.relation, c.object, c.name, c.who, c.clause, (a.value ->> 'relation')::oid as link,
           array_agg(distinct (p.value ->> 0)::int) as numbers
      from clauses as c
     cross join lateral jsonb_array_elements(c.asked) as a
     cross join lateral jsonb_array_elements(a.value -> 'pairs') as p
     where c.permissive and not c.never and c.command in ('r', 'w', 'd', '*')
       and (a.value ->> 'relation')::oid not in (c.relation, %(membership)s, %(root)s)
     group by c.oid, c.relation, c.object, c.name, c.who, c.clause, a.value ->> 'relation'
)
select l.object, 'policy ' || quote_ident(l.name) || ' for ' || l.who || ': ' || l.clause || ' believes ' || r.object || ', where policy '
       || quote_ident(w.name) || ' lets ' || w.who || ' state any '
       || (select string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_attribute as a
            where a.attrelid = l.link and a.attnum = any (l.numbers)) as detail
  from links as l
  join relations as r on r.oid = l.link and r.relkind in ('r', 'p')
  join clauses as w on w.relation = l.link and w.permissive and not w.never and w.command in ('a', 'w', '*')
   and (w.clause = 'WITH CHECK' or w.without_check) and not w.columns && l.numbers and w.callers <> '{}'
 where not exists (
       select from clauses as o
        where o.relation = l.link and not o.permissive and o.command in ('a', 'w', '*') and o.columns && l.numbers)
   and exists (
       select from grants as g
        where g.oid = l.link and g.privilege = any (case w.command when 'a' then '{INSERT}' when 'w' then '{UPDATE}' else '{INSERT,UPDATE}' end::text[])
          and (g.number = 0 or g.number = any (l.numbers)))
   -- A row that is itself the link's target: its key can be set only once.
   and not exists (
       select from pg_index as x
        where x.indrelid = l.link and x.indisunique and x.indpred is null
          and (x.indkey::int2[])[0 : x.indnkeyatts - 1]::int[] <@ l.numbers)
 group by l.object, l.name, l.who, l.clause, r.object, w.name, w.who, l.link, l.numbers
 order by 1, 2
