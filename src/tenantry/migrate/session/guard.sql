-- Facts that must not change during a run, and other users of its login.

-- name: signature
-- Columns of the tables that are read and written, and of partitions and children with their rows; whether all rows are visible; and
-- the state of Tenantry's triggers, as one digest per side. Also temporary tables of this session whose rows are
-- hidden from it.
with recursive source (id) as (
    select c.oid
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace s on s.oid = c.relnamespace and s.nspname = %(source)s
     where c.relname = any (%(source_tables)s::text[])
    union
    select i.inhrelid from source p join pg_catalog.pg_inherits i on i.inhparent = p.id
), tables (side, id) as (
    select 'source', id from source
    union all
    select 'target', c.oid
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace s on s.oid = c.relnamespace and s.nspname = %(target)s
     where c.relname = any (%(target_tables)s::text[])
)
select coalesce(md5(string_agg(fact, E'\n' order by fact) filter (where side = 'source')), ''),
       coalesce(md5(string_agg(fact, E'\n' order by fact) filter (where side = 'target')), ''),
       array(select t.relname::text from pg_catalog.pg_class t
              where t.relnamespace = pg_my_temp_schema() and t.relkind = 'r' and pg_catalog.row_security_active(t.oid))
  from (
    select n.side, concat_ws(' ', c.oid, c.relname, c.relkind, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull,
                             a.attgenerated) as fact
      from tables n
      join pg_catalog.pg_class c on c.oid = n.id
      join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    union all
    select 'source', concat_ws(' ', 'rows', c.oid, pg_catalog.row_security_active(c.oid))
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace s on s.oid = c.relnamespace
     where (s.nspname = %(source)s and c.relname = any (%(source_tables)s::text[]))
        or (s.nspname = 'auth' and c.relname in ('users', 'identities'))
    union all
    select 'source', concat_ws(' ', t.tgrelid, t.tgname, t.tgenabled)
      from pg_catalog.pg_trigger t
      join source s on s.id = t.tgrelid
     where t.tgname in ('tenantry_capture', 'tenantry_capture_truncate')
    union all
    select 'source', concat_ws(' ', 'below', i.inhparent, i.inhrelid, i.inhdetachpending)
      from pg_catalog.pg_inherits i
      join source s on s.id = i.inhparent
  ) facts

-- name: server
-- A restored copy has another database, a promoted standby another timeline.
select (select system_identifier::text from pg_catalog.pg_control_system()),
       (select timeline_id from pg_catalog.pg_control_checkpoint()),
       (select oid::bigint from pg_catalog.pg_database where datname = current_database()),
       pg_catalog.pg_is_in_recovery()

-- name: others
-- Sessions of other programs under the migrator's login.
select pid, coalesce(application_name, ''), coalesce(client_addr::text, 'local')
  from pg_catalog.pg_stat_activity
 where datname = current_database() and usename = session_user and pid <> pg_backend_pid()
   and application_name not like 'tenantry%%' and backend_type = 'client backend'
 order by pid limit 5

-- name: not_owned
-- Source tables, and partitions and children with their rows, that belong to others.
with recursive source (id) as (
    select c.oid
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname = %(schema)s
     where c.relname = any (%(tables)s)
    union
    select i.inhrelid from source s join pg_catalog.pg_inherits i on i.inhparent = s.id
)
select c.relname, r.rolname
  from source s
  join pg_catalog.pg_class c on c.oid = s.id
  join pg_catalog.pg_roles r on r.oid = c.relowner
 where not pg_has_role(current_user, c.relowner, 'USAGE')
 order by 1

-- name: without_capture
-- Source tables with a partition or child whose changes are not captured.
with recursive source (root, id) as (
    select c.relname::text, c.oid
      from pg_catalog.pg_class c
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname = %(schema)s
     where c.relname = any (%(tables)s)
    union
    select s.root, i.inhrelid
      from source s
      join pg_catalog.pg_inherits i on i.inhparent = s.id and not i.inhdetachpending
)
select distinct s.root
  from source s
  join pg_catalog.pg_class c on c.oid = s.id and c.relkind = 'r'
 where (select count(*) from pg_catalog.pg_trigger t
         where t.tgrelid = s.id and t.tgenabled = 'A' and t.tgname in ('tenantry_capture', 'tenantry_capture_truncate')) < 2
 order by 1

-- name: left_over
-- Which of these tables, detached from a source table, still have Tenantry's triggers.
select distinct n.nspname::text, c.relname::text
  from jsonb_array_elements(%(tables)s) w (named)
  join pg_catalog.pg_namespace n on n.nspname = w.named ->> 0
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.named ->> 1
  join pg_catalog.pg_trigger t on t.tgrelid = c.oid and t.tgname = any (%(ours)s)
 order by 1, 2

-- name: switched
-- Tables of a schema whose triggers of these names are disabled; a partition's triggers count for its table.
select distinct coalesce((select p.relname from pg_catalog.pg_class p where p.oid = pg_catalog.pg_partition_root(c.oid)), c.relname)::text
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname = %(schema)s
 where t.tgname = any (%(names)s) and t.tgenabled <> 'A'
 order by 1

-- name: noting
-- The number of these tables with change capture.
select count(distinct c.oid)
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid = t.tgrelid and c.relname = any (%(tables)s)
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname = %(schema)s
 where t.tgname = 'tenantry_capture'
