-- title: No function that depends on the caller is IMMUTABLE
-- level: error
-- why: The planner computes it once and keeps the result: a prepared statement keeps the rights of its first caller.
-- fix: alter function … stable.
-- uses: bodies
select p.oid::regprocedure::text as object, 'it is IMMUTABLE, and reads who calls' as detail
  from bodies as b
  join pg_proc as p on p.oid = b.oid
 where b.caller and p.provolatile = 'i'
 order by 1
