-- Holders of locks.

-- name: blockers
-- Holders of locks on some tables of a schema, or on any if none is named; readers are included if `readers` is true.
-- A prepared transaction has no session: it holds its locks until it is ended. pg_locks shows it without a pid, and with the
-- virtual transaction that holds the lock on its transaction id.
with held as materialized (
    select l.pid, l.virtualtransaction
      from pg_locks l
      join pg_class c on c.oid = l.relation
      join pg_namespace n on n.oid = c.relnamespace
     where l.granted and n.nspname = %(schema)s and (%(tables)s = '{}' or c.relname = any (%(tables)s::text[]))
       and l.pid is distinct from pg_backend_pid()
       and l.database = (select oid from pg_database where datname = current_database())
       and (%(readers)s or l.mode in ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                      'AccessExclusiveLock'))
)
select a.pid, a.application_name, a.state, coalesce(extract(epoch from clock_timestamp() - a.xact_start), 0)::float8,
       null as gid, null as owner
  from pg_stat_activity a where a.pid in (select pid from held)
 union all
select null, null, 'prepared', extract(epoch from clock_timestamp() - p.prepared)::float8, p.gid, p.owner
  from pg_prepared_xacts p
 where p.database = current_database() and exists (
       select from pg_locks x join held h on h.virtualtransaction = x.virtualtransaction
        where h.pid is null and x.pid is null and x.locktype = 'transactionid' and x.transactionid = p.transaction)
 order by 4 desc
 limit 5

-- name: readiness
select (select count(*) from (select from tenantry.source_log limit 100000) z),
       coalesce(extract(epoch from clock_timestamp() - (select min(at) from (select at from tenantry.source_log limit 1000) z)), 0)::float8,
       (select count(*) from tenantry.quarantine where state = 'open')

-- name: in_the_way
with held as materialized (
    select l.pid, l.virtualtransaction
      from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
     where l.granted and n.nspname = %(schema)s and c.relname = any (%(tables)s)
       and l.database = (select oid from pg_database where datname = current_database())
       and l.mode in ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                      'AccessExclusiveLock')
)
select a.pid, a.application_name, coalesce(a.state, 'busy') as state,
       coalesce(extract(epoch from clock_timestamp() - a.xact_start), 0)::float8 as seconds,
       left(a.query, 1000) as query, null as gid, null as owner
  from pg_stat_activity a
 where a.xact_start < clock_timestamp() - interval '1 second' and a.application_name not like 'tenantry%%'
   and a.pid in (select pid from held)
 union all
select null, null, 'prepared', extract(epoch from clock_timestamp() - p.prepared)::float8, '', p.gid, p.owner
  from pg_prepared_xacts p
 where p.database = current_database() and exists (
       select from pg_locks x join held h on h.virtualtransaction = x.virtualtransaction
        where h.pid is null and x.pid is null and x.locktype = 'transactionid' and x.transactionid = p.transaction)
 order by 4 desc limit 5

-- name: in_front
-- Who blocks a session that waits for a lock. A session that waits for a row holds the `tuple` lock of its place in the queue, which
-- names the table; without it, the tables on which the holder has locks are named.
with w as materialized (
    select coalesce(l.relation, (select t.relation from pg_locks t where t.pid = l.pid and t.locktype = 'tuple' and t.granted limit 1))
               as relation, l.transactionid
      from pg_locks l where l.pid = %(waiting)s and not l.granted and l.locktype <> 'advisory' limit 1
)
select a.pid, a.application_name, a.state, extract(epoch from clock_timestamp() - a.xact_start)::float8,
       coalesce(w.relation::regclass::text, (
           select string_agg(distinct l.relation::regclass::text, ', ')
             from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
            where l.pid = a.pid and l.granted and c.relkind in ('r', 'p') and n.nspname = any (%(schemas)s)
              and l.mode <> 'AccessShareLock')),
       null as gid, null as owner
  from w cross join unnest(pg_blocking_pids(%(waiting)s)) b (pid) join pg_stat_activity a on a.pid = b.pid
 union all
select null, null, 'prepared', extract(epoch from clock_timestamp() - p.prepared)::float8, w.relation::regclass::text, p.gid, p.owner
  from w join pg_prepared_xacts p on p.transaction = w.transactionid
 order by 4 desc nulls last
 limit 5
