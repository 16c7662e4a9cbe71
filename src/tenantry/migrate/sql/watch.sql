-- What must not change under a run, and who else uses its login.

-- name: signature
-- Columns of the tables that are read and written, whether all of their rows are seen, and the state of Tenantry's triggers, as
-- one digest for each side; and temporary tables of this session whose rows are hidden from it.
select coalesce(md5(string_agg(fact, E'\n' order by fact) filter (where side = 'source')), ''),
       coalesce(md5(string_agg(fact, E'\n' order by fact) filter (where side = 'target')), ''),
       array(select t.relname::text from pg_catalog.pg_class t
              where t.relnamespace = pg_my_temp_schema() and t.relkind = 'r' and pg_catalog.row_security_active(t.oid))
  from (
    select n.side, concat_ws(' ', c.oid, c.relname, c.relkind, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull,
                             a.attgenerated) as fact
      from (values ('source', %(source)s, %(source_tables)s::text[]), ('target', %(target)s, %(target_tables)s::text[]))
           n (side, schema, tables)
      join pg_catalog.pg_namespace s on s.nspname = n.schema
      join pg_catalog.pg_class c on c.relnamespace = s.oid and c.relname = any (n.tables)
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
      join pg_catalog.pg_class c on c.oid = t.tgrelid
      join pg_catalog.pg_namespace s on s.oid = c.relnamespace and s.nspname = %(source)s
     where t.tgname in ('tenantry_capture', 'tenantry_capture_truncate')
    union all
    select 'source', concat_ws(' ', 'partition', i.inhparent, i.inhrelid)
      from pg_catalog.pg_inherits i
      join pg_catalog.pg_class c on c.oid = i.inhparent and c.relname = any (%(source_tables)s::text[])
      join pg_catalog.pg_namespace s on s.oid = c.relnamespace and s.nspname = %(source)s
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
select c.relname, r.rolname
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname = %(schema)s
  join pg_catalog.pg_roles r on r.oid = c.relowner
 where c.relname = any (%(tables)s) and not pg_has_role(current_user, c.relowner, 'USAGE')
 order by 1
