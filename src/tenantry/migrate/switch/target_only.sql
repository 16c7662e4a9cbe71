-- What a rollback archives.

-- name: tables_of_target
-- Tables of the target's schema with own rows, and whether all of these can be read. Partitions belong to their parent,
-- foreign tables hold no rows here, and tables of extensions belong to the extension.
select c.relname, has_table_privilege(c.oid, 'select') and not row_security_active(c.oid)
  from pg_class as c
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s))
   and c.relkind in ('r', 'p') and not c.relispartition
   and not exists (select from pg_depend as d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
 order by 1

-- name: schema
-- Whether an existing schema was made by an interrupted call of the same rollback.
select coalesce(obj_description(n.oid, 'pg_namespace') = %(mark)s, false) from pg_namespace as n where n.nspname = %(name)s

-- name: tables
select c.relname from pg_class as c where c.relnamespace = to_regnamespace(quote_ident(%(name)s)) and c.relkind = 'r'

-- name: outside
-- Others' objects that DROP … CASCADE would drop: objects outside the target and the journal that depend on them, and tables
-- that others made in the journal's schema. A trigger on the accounts is dropped with its function: the target's files made both.
with gone as (
    select n.oid from pg_namespace as n where n.oid in (to_regnamespace(quote_ident(%(schema)s)), to_regnamespace('tenantry'))
), dependent as (
    select distinct d.classid, d.objid, d.objsubid,
           coalesce(w.ev_class, p.polrelid, t.tgrelid, a.adrelid, k.conrelid, case when d.classid = 'pg_class'::regclass then d.objid end)
               as relation
      from pg_depend as d
      left join pg_class as rc on d.refclassid = 'pg_class'::regclass and rc.oid = d.refobjid
      left join pg_type as rt on d.refclassid = 'pg_type'::regclass and rt.oid = d.refobjid
      left join pg_proc as rp on d.refclassid = 'pg_proc'::regclass and rp.oid = d.refobjid
      left join pg_rewrite as w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid
      left join pg_policy as p on d.classid = 'pg_policy'::regclass and p.oid = d.objid
      left join pg_trigger as t on d.classid = 'pg_trigger'::regclass and t.oid = d.objid
      left join pg_attrdef as a on d.classid = 'pg_attrdef'::regclass and a.oid = d.objid
      left join pg_constraint as k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid
     where coalesce(rc.relnamespace, rt.typnamespace, rp.pronamespace) in (select oid from gone)
       and d.deptype in ('n', 'a')
       and (t.oid is null or not t.tgisinternal)
       and (t.oid is null or t.tgname !~ '^tenantry_' and t.tgrelid is distinct from to_regclass('auth.users'))
)
select pg_describe_object(x.classid, x.objid, x.objsubid)
  from dependent as x
  left join pg_class as c on c.oid = x.relation
  left join lateral pg_identify_object(x.classid, x.objid, 0) as o on true
 where coalesce(c.relnamespace, to_regnamespace(quote_ident(o.schema))) not in (select oid from gone)
   and coalesce(c.relkind <> 't' and c.relpersistence <> 't', true)
 union all
select pg_describe_object('pg_class'::regclass, c.oid, 0)
  from pg_class as c
 where c.relnamespace = to_regnamespace('tenantry') and c.relkind in ('r', 'p', 'm', 'f') and not c.relname = any (%(ours)s)
   and not c.relispartition
 order by 1
