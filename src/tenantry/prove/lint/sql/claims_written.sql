-- title: Clients call no function that sets the caller
-- level: error
-- why: Over an API, callers who cannot send SQL call the function and act as any user for the rest of the transaction.
-- fix: revoke execute on function … from public and from the roles of clients; keep functions for tests in a test database.
-- uses: functions, callable, clauses, bodies
with believed as (
    select lower(unnest(c.settings)) as name from clauses as c
     union
    select lower(unnest(b.settings)) from bodies as b where b.caller
)
select f.oid::regprocedure::text as object,
       c.who || ' may call it; it sets ' || string_agg(case s.name when '*' then 'any setting' else s.name end, ', ' order by s.name)
       || ' to what it is told' as detail
  from functions as f
  join callable as c on c.oid = f.oid
 cross join lateral unnest(f.sets) as s (name)
 where s.name in (select b.name from believed as b) or s.name in ('role', 'session_authorization', '*') or s.name ~ '^request[.]jwt'
 group by f.oid, c.who
 order by 1
