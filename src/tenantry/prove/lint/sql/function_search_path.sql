-- title: Functions that policies and triggers call have a fixed search_path
-- level: error
-- why: The caller's search_path decides which tables the function means: with a temporary membership table they become a member of every tenant.
-- fix: alter function … set search_path = pg_catalog, pg_temp, and qualify the names in it.
-- uses: clauses, bodies, relations
with used as (
    select f.oid, 'policy ' || quote_ident(c.name) || ' of ' || c.object as what, 'error' as level
      from clauses as c
     cross join lateral unnest(c.calls) as f (oid)
     union all
    select t.tgfoid, 'trigger ' || quote_ident(t.tgname) || ' of ' || r.object, 'warning'
      from pg_trigger as t
      join relations as r on r.oid = t.tgrelid
     where not t.tgisinternal
)
select p.oid::regprocedure::text as object, 'it has no fixed search_path; ' || min(u.what) || ' calls it' as detail, min(u.level) as level
  from used as u
  join pg_proc as p on p.oid = u.oid
  join bodies as b on b.oid = p.oid
 where not p.prosecdef and p.prosqlbody is null
   and not exists (select from unnest(p.proconfig) as s where s like 'search_path=%%')
   -- Functions of the platform, which nobody else can alter.
   and not exists (select from pg_namespace as n where n.oid = p.pronamespace and n.nspname = any (%(platform)s::text[]))
   -- A function that names no table and calls no user-defined function depends on the path only through operators.
   and (b.reads <> '{}' or b.calls <> '{}')
 group by p.oid
 order by 1
