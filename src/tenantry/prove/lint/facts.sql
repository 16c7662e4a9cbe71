-- name: functions
-- User-defined functions with their text. Functions of extensions are left out, since their owner cannot fix them.
select p.oid::int8, n.nspname::text, p.proname::text,
       coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) as body,
       p.prosecdef, p.proretset, t.typname::text, t.typcategory::text
  from pg_proc as p
  join pg_namespace as n on n.oid = p.pronamespace
  join pg_type as t on t.oid = p.prorettype
 where p.prokind in ('f', 'p') and p.oid >= 16384
   and n.nspname not in ('pg_catalog', 'information_schema')
   and not exists (
       select from pg_depend as d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')

-- name: relations
-- Names of tables and views, which are searched in the text of functions.
select c.oid::int8, n.nspname::text, c.relname::text
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.oid >= 16384
   and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')

-- name: conditions
-- The stored conditions of policies.
select p.oid::int8, p.polrelid::int8, 'USING', p.polqual::text
  from pg_policy as p
  join pg_class as c on c.oid = p.polrelid
  join pg_namespace as n on n.oid = c.relnamespace
 where n.nspname = any (%(schemas)s::text[]) and p.polqual is not null
 union all
select p.oid::int8, p.polrelid::int8, 'WITH CHECK', p.polwithcheck::text
  from pg_policy as p
  join pg_class as c on c.oid = p.polrelid
  join pg_namespace as n on n.oid = c.relnamespace
 where n.nspname = any (%(schemas)s::text[]) and p.polwithcheck is not null

-- name: required
-- Columns that are never null, of tables that have policies.
select a.attrelid::int8, a.attnum::int
  from pg_attribute as a
 where a.attnum > 0 and a.attnotnull and a.attrelid in (select p.polrelid from pg_policy as p)

-- name: operators
select o.oid::int8, o.oprname::text from pg_operator as o

-- name: bodies
-- Functions whose text is parsed, with what the parser needs; without triggers and Tenantry's own functions.
select p.oid::int8, p.proname::text, l.lanname::text,
       case when l.lanname = 'plpgsql' then pg_get_functiondef(p.oid) else coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) end,
       array(select coalesce(p.proargnames[g.n], '') from unnest(p.proargtypes) with ordinality as g (oid, n) order by g.n),
       array(select t.typname::text from unnest(p.proargtypes) with ordinality as g (oid, n) join pg_type as t on t.oid = g.oid
              order by g.n)
  from pg_proc as p
  join pg_namespace as n on n.oid = p.pronamespace
  join pg_language as l on l.oid = p.prolang
 where p.prokind in ('f', 'p') and p.oid >= 16384 and l.lanname in ('sql', 'plpgsql')
   and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
   and n.nspname not in ('pg_catalog', 'information_schema', 'tenantry')
   and not exists (
       select from pg_depend as d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')

-- name: columns
select a.attrelid::int8, a.attname::text, a.attnum::int, t.typname::text
  from pg_attribute as a
  join pg_class as c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'v', 'm', 'f') and c.oid >= 16384
  join pg_namespace as n on n.oid = c.relnamespace
  join pg_type as t on t.oid = a.atttypid
 where a.attnum > 0 and not a.attisdropped and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'tenantry')
