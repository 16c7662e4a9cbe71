-- Statements with which the engine writes the journal.

-- name: exists
-- A schema of this name that Tenantry did not create may also have a table run.
select exists (select from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
                where n.nspname = 'tenantry' and c.relname = 'run' and a.attname = 'manifest_digest')

-- name: last_run
select id, name, manifest_digest, manifest_path, source_schema, target_schema, tool_version, status, phase, started_at,
       finished_at, process, direction, migrator, server, verified_at, unverified, grace_until, source_catalog::text,
       target_catalog::text, to_jsonb(r) -> 'subset'
  from tenantry.run r order by id desc limit 1

-- name: new_run
insert into tenantry.run (name, manifest_digest, manifest_path, source_schema, target_schema, tool_version, source_catalog,
                          target_catalog, process, subset)
values (%(name)s, %(manifest_digest)s, %(manifest_path)s, %(source_schema)s, %(target_schema)s, %(tool_version)s,
        %(source_catalog)s, %(target_catalog)s, %(process)s, %(subset)s)
returning id

-- name: resume_run
update tenantry.run set status = 'running', process = %(process)s, finished_at = null where id = %(run)s

-- name: set_status
-- A run that was cut over stays so, whatever happens to the process later.
update tenantry.run
   set status = %(status)s, finished_at = case when %(status)s = 'running' then null else clock_timestamp() end
 where id = %(run)s and direction = 'forward'

-- name: turn
-- Which side applications write from now on; runs in the transaction that opens this side and closes the other.
update tenantry.run
   set direction = %(direction)s, status = %(status)s, phase = %(phase)s, finished_at = clock_timestamp(),
       grace_until = clock_timestamp() + %(grace)s::interval
 where id = %(run)s

-- name: set_process
update tenantry.run set process = %(process)s where id = %(run)s

-- name: set_server
update tenantry.run set server = %(server)s where id = %(run)s

-- name: set_verified
update tenantry.run set verified_at = case when %(verified)s then clock_timestamp() end, unverified = false where id = %(run)s

-- name: set_unverified
-- Rows were replayed since everything was compared.
update tenantry.run set unverified = true where id = %(run)s and not unverified

-- name: set_subset
update tenantry.run set subset = %(subset)s where id = %(run)s

-- name: forget_chunks
delete from tenantry.chunk where run_id = %(run)s

-- name: set_source_catalog
update tenantry.run set source_catalog = %(catalog)s where id = %(run)s

-- name: sample
insert into tenantry.sample (run_id, phase, rows, lag_entries, lag_seconds, log_bytes, wal_bytes, data)
select %(run)s, r.phase, %(rows)s, l.entries, coalesce(extract(epoch from clock_timestamp() - l.oldest), 0),
       pg_total_relation_size('tenantry.source_log') + pg_total_relation_size('tenantry.target_log'),
       pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint, %(data)s
  from tenantry.run r,
       lateral (select (select count(*) from (select from tenantry.source_log where r.direction <> 'reverse' limit 100000) z)
                       + (select count(*) from (select from tenantry.target_log where r.direction <> 'forward' limit 100000) z) as entries,
                       least((select min(at) from (select at from tenantry.source_log where r.direction <> 'reverse' limit 1000) z),
                             (select min(at) from (select at from tenantry.target_log where r.direction <> 'forward' limit 1000) z)) as oldest) l
 where r.id = %(run)s

-- name: set_phase
update tenantry.run set phase = %(phase)s where id = %(run)s

-- name: add_steps
insert into tenantry.step (run_id, id, position, phase)
select %(run)s, s ->> 'id', (s ->> 'position')::int, s ->> 'phase' from jsonb_array_elements(%(steps)s) s
on conflict (run_id, id) do nothing

-- name: steps
select id, status, started_at, finished_at, seconds, row_count, message, phase
  from tenantry.step where run_id = %(run)s order by position

-- name: step_started
update tenantry.step set status = 'running', started_at = clock_timestamp(), message = null
 where run_id = %(run)s and id = %(step)s and status <> 'done'

-- name: step_done
update tenantry.step
   set status = 'done', finished_at = clock_timestamp(), row_count = %(rows)s, message = %(message)s,
       seconds = coalesce(seconds, 0) + extract(epoch from clock_timestamp() - started_at)
 where run_id = %(run)s and id = %(step)s

-- name: step_failed
update tenantry.step
   set status = 'failed', finished_at = clock_timestamp(), message = %(message)s,
       seconds = coalesce(seconds, 0) + extract(epoch from clock_timestamp() - started_at)
 where run_id = %(run)s and id = %(step)s and status <> 'done'

-- name: reopen_steps
update tenantry.step set status = 'open', started_at = null, finished_at = null, seconds = null, row_count = null
 where run_id = %(run)s and id = any (%(steps)s)

-- name: add_chunks
insert into tenantry.chunk (run_id, mapping, position, low, high)
select %(run)s, %(mapping)s, (c ->> 'position')::int, c ->> 'low', c ->> 'high' from jsonb_array_elements(%(chunks)s) c

-- name: chunks
select position, low, high, status, source_rows, target_rows, quarantined_rows, changed_cells
  from tenantry.chunk where run_id = %(run)s and mapping = %(mapping)s order by position

-- name: chunks_done
-- Several ranges that were copied as one: the first of them has the counts.
update tenantry.chunk
   set status = 'done', source_rows = case when position = %(position)s then %(source)s else 0 end,
       target_rows = case when position = %(position)s then %(target)s else 0 end,
       quarantined_rows = case when position = %(position)s then %(quarantined)s else 0 end,
       changed_cells = case when position = %(position)s then %(changed)s else 0 end,
       seconds = %(seconds)s, finished_at = clock_timestamp()
 where run_id = %(run)s and mapping = %(mapping)s and position = any (%(positions)s) and status = 'open'

-- name: split_chunk
with old as (
    delete from tenantry.chunk where run_id = %(run)s and mapping = %(mapping)s and position = %(position)s
    returning run_id, mapping, low, high
), next as (
    select coalesce(max(position), 0) as last from tenantry.chunk where run_id = %(run)s and mapping = %(mapping)s
)
insert into tenantry.chunk (run_id, mapping, position, low, high)
select o.run_id, o.mapping, greatest(n.last, %(position)s) + p.place,
       case p.place when 1 then o.low else %(middle)s end, case p.place when 1 then %(middle)s else o.high end
  from old o, next n, (values (1), (2)) p (place)
returning position, low, high

-- name: event
insert into tenantry.event (run_id, code, message, data) values (%(run)s, %(code)s, %(message)s, %(data)s)

-- name: last_turn
-- The last event about the run's direction.
select code, data from tenantry.event
 where run_id = %(run)s and code in ('cut_over', 'grace_ended', 'rolled_back', 'undoing') order by id desc limit 1

-- name: events
select at, code, message, data from tenantry.event where run_id = %(run)s order by id

-- name: progress
select mapping, count(*) as chunks, count(*) filter (where status = 'done') as done,
       coalesce(sum(source_rows), 0)::bigint, coalesce(sum(target_rows), 0)::bigint, coalesce(sum(quarantined_rows), 0)::bigint,
       coalesce(sum(changed_cells), 0)::bigint, min(finished_at), max(finished_at)
  from tenantry.chunk where run_id = %(run)s group by mapping

-- name: quarantine_summary
select mapping, reason, coalesce(column_name, ''), count(*), (array_agg(source_key order by source_key))[1:5]
  from tenantry.quarantine where state = 'open' group by 1, 2, 3
 order by reason = 'parent_quarantined', 4 desc, 1, 2, 3

-- name: accept_quarantined
-- Accepts that these rows stay in quarantine.
insert into tenantry.accepted (mapping, source_key)
select distinct q.mapping, q.source_key from tenantry.quarantine q where q.state = 'open' on conflict do nothing

-- name: newest_quarantined
select coalesce(max(id), 0) from tenantry.quarantine

-- name: left_behind
-- Rows that went into quarantine after an entry and are not reported yet.
select q.mapping, q.reason, coalesce(q.column_name, ''), count(*), (array_agg(q.source_key order by q.source_key))[1:5]
  from tenantry.quarantine q
 where q.id > %(after)s and q.state = 'open'
   and not exists (select from tenantry.accepted a where a.mapping = q.mapping and a.source_key = q.source_key)
 group by 1, 2, 3 order by q.reason = 'parent_quarantined', 4 desc, 1, 2, 3

-- name: merged_summary
select mapping, reason, count(*), (array_agg(source_key order by source_key))[1:5] from tenantry.merged group by 1, 2 order by 1, 2

-- name: change_summary
select mapping, column_name, rule, count(*), (array_agg(source_key order by source_key))[1:5]
  from tenantry.change group by 1, 2, 3 order by 1, 2, 3
