-- Queries before the dual-write window is opened.

-- name: drawn
-- The sequences that fill columns, by a default or as identity.
with drawn as (
    select d.adrelid as relation, d.adnum as attribute, e.refobjid as sequence
      from pg_catalog.pg_attrdef d
      join pg_catalog.pg_depend e on e.classid = 'pg_catalog.pg_attrdef'::regclass and e.objid = d.oid
       and e.refclassid = 'pg_catalog.pg_class'::regclass
    union
    select e.refobjid, e.refobjsubid, e.objid
      from pg_catalog.pg_depend e
     where e.classid = 'pg_catalog.pg_class'::regclass and e.refclassid = 'pg_catalog.pg_class'::regclass
       and e.deptype = 'i' and e.refobjsubid > 0
)
select n.nspname, c.relname, a.attname, m.nspname, k.relname, q.seqincrement,
       case when q.seqincrement > 0 then q.seqmax else q.seqmin end,
       coalesce(pg_catalog.pg_sequence_last_value(k.oid), q.seqstart), pg_catalog.pg_has_role(current_user, k.relowner, 'USAGE'),
       pg_catalog.pg_get_userbyid(k.relowner)
  from drawn
  join pg_catalog.pg_class c on c.oid = drawn.relation
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = drawn.attribute
  join pg_catalog.pg_class k on k.oid = drawn.sequence and k.relkind = 'S'
  join pg_catalog.pg_namespace m on m.oid = k.relnamespace
  join pg_catalog.pg_sequence q on q.seqrelid = k.oid
 where n.nspname = any (%(schemas)s)
 order by 1, 2, 3

-- name: triggers
-- Triggers of applications on these tables and their partitions; on a partition only its own triggers.
select n.nspname, c.relname, t.tgname, pg_catalog.pg_get_triggerdef(t.oid), t.tgenabled::text, t.tgconstraint <> 0,
       t.tgqual is not null, pg_catalog.obj_description(t.oid, 'pg_trigger'),
       pg_catalog.has_function_privilege(current_user, t.tgfoid, 'EXECUTE'), t.tgfoid::regprocedure::text
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where n.nspname = %(schema)s and not t.tgisinternal and t.tgparentid = 0 and t.tgname <> all (%(ours)s)
   and (c.relname = any (%(tables)s) or exists (
        select from pg_catalog.pg_partition_ancestors(c.oid) p
          join pg_catalog.pg_class r on r.oid = p.relid and r.relname = any (%(tables)s)
         where r.relnamespace = n.oid))
 order by 2, 3

-- name: instead
-- Whether a side has views with triggers of their own: their writes look like those of a trigger.
select exists (select from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid
                join pg_catalog.pg_namespace n on n.oid = c.relnamespace
               where n.nspname = any (%(schemas)s) and c.relkind = 'v' and not t.tgisinternal)
