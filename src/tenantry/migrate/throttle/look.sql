-- Readings of a run's effect on others. `rights` and the blocks after `look` replace its marks, depending on the login's rights.

-- name: prepare
-- Names are printed with schema, no user's object precedes the catalog, and a reading that hangs is worse than none.
select set_config('search_path', 'pg_catalog, pg_temp', false), set_config('statement_timeout', '10s', false)

-- name: rights
exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'tenantry' and c.relname = 'setting'
           and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')) as may_read_settings,
       has_function_privilege('pg_ls_waldir()', 'execute') as may_list_wal

-- name: first_look
select /* rights */,
       (select setting from pg_settings where name = 'data_directory') as data_directory

-- name: look
with us as materialized (
    select pid from pg_stat_activity where datname = current_database() and starts_with(application_name, 'tenantry')
),
here as materialized (
    select oid from pg_database where datname = current_database()
),
waits as materialized (
    -- pg_blocking_pids() briefly blocks the lock manager: it is called only for the longest waits.
    select l.pid, min(l.waitstart) as since,
           max(case when l.database = (select oid from here) then l.relation end) as relation
      from pg_locks l
     where not l.granted and l.waitstart is not null and l.pid not in (select pid from us)
     group by l.pid
     order by since
     limit 50
),
waiters as (
    select w.pid, a.application_name as application,
           extract(epoch from clock_timestamp() - w.since)::float8 as seconds,
           -- A wait for a row's writer is a wait for a transaction; the waiter's tuple lock names the table.
           coalesce(w.relation,
                    (select t.relation from pg_locks t
                      where t.pid = w.pid and t.locktype = 'tuple' and t.granted limit 1))::regclass::text as relation
      from waits w left join pg_stat_activity a on a.pid = w.pid
     where pg_blocking_pids(w.pid) && array(select pid from us)
     order by seconds desc
     limit 5
),
transactions as (
    -- Transactions that prevent the removal of dead rows; autovacuum's own do not.
    select pid, application_name as application, state,
           extract(epoch from clock_timestamp() - xact_start)::float8 as seconds
      from pg_stat_activity
     where datname = current_database() and pid not in (select pid from us) and backend_type = 'client backend'
       and (backend_xid is not null or backend_xmin is not null)
     order by seconds desc nulls last
     limit 5
),
standbys as (
    select application_name as application, extract(epoch from replay_lag)::float8 as seconds,
           pg_wal_lsn_diff(replay_lsn, '0/0') as replayed
      from pg_stat_replication
     where replay_lsn is not null
),
slots as (
    select slot_name as slot, active, pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, restart_lsn) as bytes
      from pg_replication_slots
     where restart_lsn is not null
     order by bytes desc
     limit 5
),
vacuums as (
    -- Found by its lock, which every login may see; its query is visible only to members of pg_read_all_stats. It has no user.
    select distinct on (l.pid, l.relation)
           heap.oid::regclass::text as relation,
           array(select array[n.nspname::text, c.relname::text]
                   from pg_class c join pg_namespace n on n.oid = c.relnamespace
                  where c.oid = heap.oid or c.oid in (select relid from pg_partition_ancestors(heap.oid) p (relid)))
               as names,
           coalesce(a.query like '%%(to prevent wraparound)', false) as wraparound,
           case when p.heap_blks_total > 0 then 100.0 * p.heap_blks_scanned / p.heap_blks_total end::float8 as percent
      from pg_locks l
      join pg_stat_activity a on a.pid = l.pid
      cross join lateral (
          select coalesce((select t.oid from pg_class t where t.reltoastrelid = l.relation), l.relation) as oid
      ) heap
      left join pg_stat_progress_vacuum p on p.pid = l.pid
     where l.locktype = 'relation' and l.granted and l.mode = 'ShareUpdateExclusiveLock'
       and l.database = (select oid from here) and a.usesysid is null
       and heap.oid in (select oid from pg_class where relkind in ('r', 'm'))
)
select /* settings */ as settings,
       coalesce((select jsonb_agg(to_jsonb(x)) from waiters x), '[]') as waiters,
       coalesce((select jsonb_agg(to_jsonb(x)) from transactions x), '[]') as transactions,
       coalesce((select jsonb_agg(to_jsonb(x)) from standbys x), '[]') as standbys,
       coalesce((select jsonb_agg(to_jsonb(x)) from slots x), '[]') as slots,
       coalesce((select jsonb_agg(to_jsonb(x)) from vacuums x), '[]') as vacuums,
       pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, '0/0') as wal,
       /* wal directory */ as wal_directory,
       case when %(size)s then pg_database_size(current_database()) end as database_size,
       pg_has_role('pg_read_all_stats', 'usage') as may_see,
       (select count(*) from pg_stat_replication where state is null) as hidden_standbys,
       /* rights */

-- name: settings
coalesce((select jsonb_object_agg(name, jsonb_build_object('value', value, 'at', at)) from tenantry.setting), '{}')

-- name: no_settings
'{}'::jsonb

-- name: wal_directory
(select sum(size) from pg_ls_waldir())

-- name: no_wal_directory
null::numeric

-- name: journal
select to_regnamespace('tenantry') is not null

-- name: stored
select name, value, at from tenantry.setting order by name

-- name: set
insert into tenantry.setting as s (name, value) values (%(name)s, %(value)s)
on conflict (name) do update set value = excluded.value, at = excluded.at

-- name: set_once
insert into tenantry.setting (name, value) values (%(name)s, %(value)s) on conflict (name) do nothing

-- name: reset
delete from tenantry.setting where name = any (%(names)s) returning name
