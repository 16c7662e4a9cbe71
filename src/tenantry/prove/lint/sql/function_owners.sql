-- title: No client owns, or can become the owner of, a function that others run
-- level: error
-- why: The owner can replace its text. Policies, triggers and views then run the new text with the rights of the caller.
-- fix: alter function … owner to the owner of the tables.
-- uses: clauses, functions, relations, becomes
with owners as (
    select r.oid, r.rolname::text as who from pg_roles as r where r.rolname = any (%(clients)s::text[])
     union
    select b.role, b.who from becomes as b
), used as (
    select unnest(c.calls) as oid from clauses as c
     union
    select t.tgfoid from pg_trigger as t join relations as r on r.oid = t.tgrelid where not t.tgisinternal
     union
    select f.oid from functions as f where f.definer
     union
    select d.refobjid
      from relations as r
      join pg_rewrite as w on w.ev_class = r.oid
      join pg_depend as d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_proc'::regclass
     union
    select d.refobjid
      from relations as r
      join pg_attrdef as a on a.adrelid = r.oid
      join pg_depend as d on d.classid = 'pg_attrdef'::regclass and d.objid = a.oid and d.refclassid = 'pg_proc'::regclass
)
select p.oid::regprocedure::text as object, string_agg(distinct o.who, ', ' order by o.who) || ' can replace it' as detail
  from used as u
  join pg_proc as p on p.oid = u.oid
  join owners as o on o.oid = p.proowner
 group by p.oid
 order by 1
