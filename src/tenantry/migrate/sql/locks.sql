-- Who holds what.

-- name: run_lock_holder
select l.pid from pg_locks l
 where l.locktype = 'advisory' and l.granted
   and l.database = (select oid from pg_database where datname = current_database())
   and (l.classid::bigint << 32) + l.objid::bigint = %(key)s and l.objsubid = 1
 limit 1

-- name: blockers
select distinct a.pid, a.application_name, a.state,
       coalesce(extract(epoch from clock_timestamp() - a.xact_start), 0)::float8
  from pg_locks l
  join pg_class c on c.oid = l.relation
  join pg_namespace n on n.oid = c.relnamespace
  join pg_stat_activity a on a.pid = l.pid
 where l.granted and n.nspname = %(schema)s and c.relname = any (%(tables)s) and l.pid <> pg_backend_pid()
   and l.mode in ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
 order by 4 desc
 limit 5
