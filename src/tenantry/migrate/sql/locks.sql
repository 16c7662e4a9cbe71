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


-- name: run_lock_awaited
select true from pg_locks l
 where l.locktype = 'advisory' and not l.granted
   and l.database = (select oid from pg_database where datname = current_database())
   and (l.classid::bigint << 32) + l.objid::bigint = %(key)s and l.objsubid = 1
 limit 1

-- name: readiness
select (select count(*) from (select from tenantry.source_log limit 100000) z),
       coalesce(extract(epoch from clock_timestamp() - (select min(at) from (select at from tenantry.source_log limit 1000) z)), 0)::float8,
       (select count(*) from tenantry.quarantine where state = 'open')

-- name: in_the_way
select a.pid, a.application_name, coalesce(a.state, 'busy'),
       coalesce(extract(epoch from clock_timestamp() - a.xact_start), 0)::float8, left(regexp_replace(a.query, '\s+', ' ', 'g'), 60)
  from pg_stat_activity a
 where a.xact_start < clock_timestamp() - interval '1 second' and a.application_name not like 'tenantry%%' and exists (
       select from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
        where l.pid = a.pid and l.granted and n.nspname = %(schema)s and c.relname = any (%(tables)s)
          and l.mode in ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))
 order by 4 desc limit 5
