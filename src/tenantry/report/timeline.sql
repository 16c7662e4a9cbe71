-- The course of a run, for its timeline.

-- name: timeline
-- The newest run and the number of rows to draw.
select r.id, r.started_at, count(s.at), min(s.at), max(s.at)
  from tenantry.run r left join tenantry.sample s on s.run_id = r.id
 where r.id = (select max(id) from tenantry.run)
 group by r.id

-- name: timeline_samples
select at, phase, rows, lag_entries, lag_seconds, data from tenantry.sample where run_id = %(run)s order by at

-- name: timeline_steps
select phase, started_at, finished_at from tenantry.step
 where run_id = %(run)s and status = 'done' and started_at is not null and finished_at is not null

-- name: timeline_events
select at, code, data from tenantry.event where run_id = %(run)s and code = any (%(codes)s) order by id
