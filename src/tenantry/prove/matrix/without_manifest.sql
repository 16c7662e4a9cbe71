-- name: tables
-- The tables that hold rows of tenants, with the facts needed to try statements on them.
select c.oid::int8, n.nspname::text, c.relname::text, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod),
       array(select w.attname::text from pg_catalog.pg_attribute as w
              where w.attrelid = c.oid and w.attnum > 0 and not w.attisdropped and w.attgenerated = '' order by w.attnum),
       (select string_agg(distinct t.tgname::text || ' (' || l.lanname::text || ')', ', ')
          from pg_catalog.pg_trigger as t
          join pg_catalog.pg_proc as p on p.oid = t.tgfoid
          join pg_catalog.pg_language as l on l.oid = p.prolang
         where t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled <> 'D'
           and (not (l.lanpltrusted or l.lanname = 'internal')
                or p.prosrc ~* '\m(dblink\w*|http\w*|pg_background\w*|lo_export|pg_file_write|pg_advisory_lock\w*|pg_try_advisory_lock|to\s+program)\M'
                or p.prosrc ~* '\mnet\.'))
  from unnest(%(relations)s::oid[], %(columns)s::int[]) as w (relation, number)
  join pg_catalog.pg_class as c on c.oid = w.relation and c.relkind in ('r', 'p') and not c.relispartition
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum = w.number
 order by 2, 3

-- name: members
-- Columns of the membership table, and the path from its user column to an account: directly, or through a table of people.
select n.nspname::text, c.relname::text, t.attname::text, u.attname::text,
       fn.nspname::text, f.relname::text, fa.attname::text,
       (select pa.attname::text from pg_catalog.pg_constraint as pk
          join pg_catalog.pg_attribute as pa on pa.attrelid = pk.conrelid and pa.attnum = pk.conkey[1]
         where pk.conrelid = f.oid and pk.contype = 'f' and pg_catalog.array_length(pk.conkey, 1) = 1
           and pk.confrelid = pg_catalog.to_regclass('auth.users') limit 1)
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  join pg_catalog.pg_attribute as t on t.attrelid = c.oid and t.attnum = %(tenant)s
  join pg_catalog.pg_attribute as u on u.attrelid = c.oid and u.attnum = %(user)s
  left join lateral (
       select k.confrelid, k.confkey[1] as number from pg_catalog.pg_constraint as k
        where k.conrelid = c.oid and k.contype = 'f' and k.conkey = array[u.attnum] limit 1) as k on true
  left join pg_catalog.pg_class as f on f.oid = k.confrelid
  left join pg_catalog.pg_namespace as fn on fn.oid = f.relnamespace
  left join pg_catalog.pg_attribute as fa on fa.attrelid = f.oid and fa.attnum = k.number
 where c.oid = %(relation)s

-- name: functions
-- Functions of these schemas with an argument of an id type, and the clients that may call them.
select n.nspname::text, p.proname::text,
       array(select format_type(g.oid, null) from unnest(p.proargtypes) with ordinality as g (oid, place) order by g.place),
       p.provolatile = 'v',
       array(select r.rolname::text from pg_catalog.pg_roles as r
              where r.rolname = any (%(clients)s::text[]) and has_schema_privilege(r.oid, n.oid, 'USAGE')
                and has_function_privilege(r.oid, p.oid, 'EXECUTE') order by 1)
  from pg_catalog.pg_proc as p
  join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
 where n.nspname = any (%(schemas)s::text[]) and p.prokind = 'f' and p.prosecdef
   and p.prorettype not in ('pg_catalog.trigger'::regtype, 'pg_catalog.event_trigger'::regtype, 'pg_catalog.internal'::regtype)
   and p.proargtypes::oid[] && array['uuid', 'int4', 'int8', 'text', 'uuid[]', 'int4[]', 'int8[]', 'text[]']::regtype[]::oid[]
   and not exists (
       select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
 order by 1, 2, 3

-- name: ways
-- Tables without a tenant column that reference a table with one: the foreign key's columns on both sides.
select c.oid::int8, p.oid::int8,
       array(select a.attname::text from unnest(k.conkey) with ordinality as w (n, place)
               join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum = w.n order by w.place),
       array(select a.attname::text from unnest(k.confkey) with ordinality as w (n, place)
               join pg_catalog.pg_attribute as a on a.attrelid = p.oid and a.attnum = w.n order by w.place)
  from pg_catalog.pg_constraint as k
  join pg_catalog.pg_class as c on c.oid = k.conrelid and c.relkind in ('r', 'p') and not c.relispartition
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = any (%(schemas)s::text[])
  join pg_catalog.pg_class as p on p.oid = k.confrelid
 where k.contype = 'f' and k.conparentid = 0
 order by k.oid

-- name: keys
-- The single-column keys of these tables: functions are called with their values.
select c.oid::int8, a.attname::text, format_type(a.atttypid, null)
  from pg_catalog.pg_class as c
  join pg_catalog.pg_index as i on i.indrelid = c.oid and i.indisprimary
  join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum = any (i.indkey::int2[])
 where c.oid = any (%(relations)s::oid[])
