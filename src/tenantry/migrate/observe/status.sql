-- The status of a run, for `tenantry status`. These queries never wait and never write.

-- name: known
-- Which tables exist: a journal may be older than this version, or be dropped after a rollback.
select exists (select from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
                where n.nspname = 'tenantry' and c.relname = 'run' and a.attname = 'manifest_digest'),
       to_regclass('tenantry.conflict') is not null,
       to_regclass('tenantry.kept') is not null, to_regclass('tenantry.accepted') is not null

-- name: conflicts
(select count(*) from tenantry.conflict)

-- name: kept
(select count(*) from tenantry.kept)

-- name: left_behind
-- Rows about which a cut-over asks, since they were not reported yet.
(select count(*) from (select distinct q.mapping, q.source_key from tenantry.quarantine q where q.state = 'open') z
  where not exists (select from tenantry.accepted a where a.mapping = z.mapping and a.source_key = z.source_key))

-- name: none
0::bigint

-- name: look
-- Everything in one row. The blocks `conflicts`, `kept` and `left_behind` replace their marks if these tables exist.
with r as materialized (
    select id, name, source_schema, target_schema, status, direction, phase, started_at, finished_at, verified_at,
           grace_until, process, to_jsonb(n) -> 'subset' as subset
      from tenantry.run n order by id desc limit 1
),
us as materialized (
    select pid, application_name, backend_start, query from pg_stat_activity
     where datname = current_database() and starts_with(application_name, 'tenantry') and pid <> pg_backend_pid()
),
steps as (
    select s.id, s.phase, s.status, s.started_at, s.finished_at, s.seconds, s.row_count as rows, s.message, s.position
      from tenantry.step s where s.run_id = (select id from r)
),
copies as (
    -- Rows from before the step last began do not show the current rate.
    select c.mapping, count(*) as chunks, count(*) filter (where c.status = 'done') as done,
           coalesce(sum(c.source_rows), 0)::bigint as source_rows, coalesce(sum(c.target_rows), 0)::bigint as target_rows,
           coalesce(sum(c.quarantined_rows), 0)::bigint as quarantined_rows,
           count(*) filter (where c.finished_at >= s.started_at) as done_lately,
           coalesce(sum(c.source_rows) filter (where c.finished_at >= s.started_at), 0)::bigint as rows_lately,
           extract(epoch from case when s.status = 'running' then clock_timestamp() else max(c.finished_at) end
                              - s.started_at)::float8 as seconds,
           s.position
      from tenantry.chunk c
      left join tenantry.step s on s.run_id = c.run_id and s.id = 'copy.rows:' || c.mapping
     where c.run_id = (select id from r)
     group by c.mapping, s.status, s.started_at, s.position
),
logs as (
    -- Beyond a hundred thousand the exact number does not matter.
    select 'forward' as direction, count(*) as entries, min(at) as oldest,
           pg_total_relation_size('tenantry.source_log') as bytes
      from (select at from tenantry.source_log limit %(most)s) z
    union all
    select 'reverse', count(*), min(at), pg_total_relation_size('tenantry.target_log')
      from (select at from tenantry.target_log limit %(most)s) z
),
waits as materialized (
    -- pg_blocking_pids() briefly blocks the lock manager: it is called only for the longest waits.
    select l.pid, min(l.waitstart) as since,
           max(case when l.database = (select oid from pg_database where datname = current_database()) then l.relation end)
               as relation
      from pg_locks l
     where not l.granted and l.waitstart is not null and l.locktype <> 'advisory' and l.pid not in (select pid from us)
     group by l.pid order by since limit 50
),
waiters as (
    select w.pid, a.application_name as application, extract(epoch from clock_timestamp() - w.since)::float8 as seconds,
           coalesce(w.relation, (select t.relation from pg_locks t
                                  where t.pid = w.pid and t.locktype = 'tuple' and t.granted limit 1))::regclass::text as relation,
           b.application_name as held_by, b.query
      from waits w
      left join pg_stat_activity a on a.pid = w.pid
      cross join lateral (select u.application_name, u.query from us u where u.pid = any (pg_blocking_pids(w.pid)) limit 1) b
     order by seconds desc limit 5
),
held_up as (
    -- Sessions with locks that Tenantry waits for, also on rows; for prepared transactions see `prepared`.
    select distinct on (a.pid) a.pid, a.application_name as application, coalesce(a.state, 'state not shown') as state,
           extract(epoch from clock_timestamp() - a.xact_start)::float8 as seconds,
           coalesce(l.relation, (select t.relation from pg_locks t
                                  where t.pid = l.pid and t.locktype = 'tuple' and t.granted limit 1))::regclass::text as relation,
           u.application_name as waiting
      from pg_locks l join us u on u.pid = l.pid
     cross join unnest(pg_blocking_pids(l.pid)) b (pid)
      join pg_stat_activity a on a.pid = b.pid
     where not l.granted and l.locktype <> 'advisory' and a.pid not in (select pid from us)
),
writers as materialized (
    -- Sessions whose locks a switchover would wait for, on the side (or both) that applications write.
    select a.pid, a.application_name as application, a.state, a.query,
           extract(epoch from clock_timestamp() - a.xact_start)::float8 as seconds
      from pg_stat_activity a
     where a.pid <> pg_backend_pid() and not starts_with(a.application_name, 'tenantry') and exists (
           select from pg_locks l
             join pg_class c on c.oid = l.relation
             join pg_namespace n on n.oid = c.relnamespace
             cross join r
            where l.pid = a.pid and l.granted and c.relkind in ('r', 'p')
              and l.database = (select oid from pg_database where datname = current_database())
              and (n.nspname = r.source_schema and r.direction <> 'reverse'
                   or n.nspname = r.target_schema and r.direction <> 'forward')
              and l.mode in ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
                             'ExclusiveLock', 'AccessExclusiveLock'))
),
prepared as materialized (
    -- Prepared transactions have no session: they hold their locks until they are committed or rolled back.
    select p.gid, p.owner, extract(epoch from clock_timestamp() - p.prepared)::float8 as seconds
      from pg_prepared_xacts p
     where p.database = current_database() and exists (
           select from pg_locks x
             join pg_locks l on l.virtualtransaction = x.virtualtransaction and l.pid is null
             join pg_class c on c.oid = l.relation
             join pg_namespace n on n.oid = c.relnamespace
             cross join r
            where x.pid is null and x.locktype = 'transactionid' and x.transactionid = p.transaction and c.relkind in ('r', 'p')
              and (n.nspname = r.source_schema and r.direction <> 'reverse'
                   or n.nspname = r.target_schema and r.direction <> 'forward')
              and l.mode in ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
                             'ExclusiveLock', 'AccessExclusiveLock'))
),
standing as (
    select pid, application, state, query, seconds, null as gid, null as owner from writers where seconds > 1
     union all
    select null, null, 'prepared', '', seconds, gid, owner from prepared
     order by seconds desc limit 5
),
samples as (
    select s.at, s.phase, s.rows, s.lag_entries, s.wal_bytes, s.data
      from tenantry.sample s
     where s.run_id = (select id from r) and s.at > clock_timestamp() - interval '6 seconds'
    union
    select * from (select s.at, s.phase, s.rows, s.lag_entries, s.wal_bytes, s.data
                     from tenantry.sample s where s.run_id = (select id from r) order by s.at desc limit 1) newest
),
events as (
    select e.at, e.code, e.message, e.data, e.id from tenantry.event e
     where e.run_id = (select id from r) order by e.id desc limit 5
),
turns as (
    -- The last switchover of each kind.
    select distinct on (e.code) e.code, e.at, e.data, e.id from tenantry.event e
     where e.run_id = (select id from r) and e.code in ('cut_over', 'rolled_back', 'grace_ended')
     order by e.code, e.id desc
)
select to_jsonb(r) as run,
       clock_timestamp() as at,
       coalesce((select jsonb_agg(jsonb_build_object('pid', pid, 'application', application_name, 'since', backend_start)) from us), '[]') as us,
       coalesce((select jsonb_agg(to_jsonb(x) order by x.position) from steps x), '[]') as steps,
       coalesce((select jsonb_agg(to_jsonb(x) order by x.position, x.mapping) from copies x), '[]') as copies,
       (select jsonb_agg(to_jsonb(x)) from logs x) as logs,
       coalesce((select jsonb_agg(to_jsonb(x) order by x.seconds desc) from waiters x), '[]') as waiters,
       coalesce((select jsonb_agg(to_jsonb(x) order by x.seconds desc) from standing x), '[]') as standing,
       coalesce((select jsonb_agg(to_jsonb(x) order by x.seconds desc nulls last) from held_up x), '[]') as held_up,
       (select count(*) from writers where seconds is null) as hidden_writers,
       coalesce((select jsonb_agg(to_jsonb(x) order by x.at) from samples x), '[]') as samples,
       coalesce((select jsonb_agg(to_jsonb(x) order by x.id) from events x), '[]') as events,
       coalesce((select jsonb_agg(to_jsonb(x) order by x.id) from turns x), '[]') as turns,
       (select count(*) from tenantry.quarantine where state = 'open') as quarantined,
       /* left_behind */ as left_behind,
       (select count(*) from tenantry.merged) as merged,
       /* conflicts */ as conflicts,
       /* kept */ as kept,
       -- Rows that the copy has to read: captured tables, by the planner's estimate.
       (select sum(greatest(c.reltuples, 0))::float8 from pg_class c
         where exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgname = 'tenantry_capture')) as source_rows,
       pg_is_in_recovery() as standby,
       case when pg_is_in_recovery() then pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')
            else pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') end as wal,
       case when %(size)s then pg_database_size(current_database()) end as database_size
  from r
