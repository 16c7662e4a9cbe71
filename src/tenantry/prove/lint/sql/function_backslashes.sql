-- title: The text of a function has the same meaning for every caller
-- level: warning
-- why: A caller who sets standard_conforming_strings off changes the meaning of '\.' and '\'' in a function's text: patterns match
--   what they should not, quotes end elsewhere, and on a pooled connection the next caller is affected too.
-- fix: Write such literals as E'…' with the backslash doubled, patterns with [.] instead of \., or alter function … set
--   standard_conforming_strings = on.
-- uses: clauses, callable, bodies, relations
with recursive used as (
    select f.oid from callable as f
     union
    select t.tgfoid from pg_trigger as t join relations as r on r.oid = t.tgrelid where not t.tgisinternal
     union
    select f.oid from clauses as c cross join lateral unnest(c.calls) as f (oid)
     union
    select f.oid from used as u join bodies as b on b.oid = u.oid cross join lateral unnest(b.calls) as f (oid)
)
select p.oid::regprocedure::text as object, 'a literal in its text has a backslash and is not written as E''…''' as detail,
       case when p.prosecdef or p.prorettype = 'trigger'::regtype then 'warning' else 'info' end as level
  from used as u
  join pg_proc as p on p.oid = u.oid
  join pg_language as l on l.oid = p.prolang and l.lanname in ('sql', 'plpgsql')
  join bodies as b on b.oid = p.oid and b.backslashes
 where p.prosqlbody is null
   and not exists (select from unnest(p.proconfig) as s where s = 'standard_conforming_strings=on')
 order by 1
