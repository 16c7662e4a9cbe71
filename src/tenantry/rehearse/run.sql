-- Queries of a rehearsal on the copy's journal.

-- name: capture_steps
select s.id, s.started_at, s.finished_at from tenantry.step s
 where s.run_id = (select max(id) from tenantry.run) and s.phase = 'capture' and s.finished_at is not null
 order by s.position

-- name: conflicts
select direction, table_name, reason, count(*) as count from tenantry.conflict group by 1, 2, 3 order by 4 desc, 2, 3

-- name: kept
select table_name, column_name, reason, count(*) as count from tenantry.kept group by 1, 2, 3 order by 4 desc, 1, 2
