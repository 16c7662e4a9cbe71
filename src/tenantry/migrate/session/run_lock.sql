-- Who works on the run: rows of tenantry.run_lock, valid as long as their session holds the advisory lock of the key.

-- name: forget_ended
-- Delete rows of ended sessions. A pid, and a key that was once visible in pg_locks, may belong to another session
-- by now: its login, and its start time if visible, distinguish it.
delete from tenantry.run_lock r
 where not exists (select from pg_locks l
                     join pg_stat_activity a on a.pid = l.pid
                    where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.pid = r.pid
                      and (r.login is null or a.usesysid = r.login and (a.backend_start is null or a.backend_start = r.started))
                      and l.database = (select oid from pg_database where datname = current_database())
                      and (l.classid::bigint << 32) + l.objid::bigint = r.key)

-- name: take
-- The unique index refuses a second holder.
insert into tenantry.run_lock (key, pid, holds, login, started)
select %(key)s, pg_backend_pid(), true, a.usesysid, a.backend_start from pg_stat_activity a where a.pid = pg_backend_pid()
on conflict (key) do update set holds = true, at = clock_timestamp()

-- name: ask
insert into tenantry.run_lock (key, pid, holds, login, started)
select %(key)s, pg_backend_pid(), false, a.usesysid, a.backend_start from pg_stat_activity a where a.pid = pg_backend_pid()

-- name: ask_no_more
delete from tenantry.run_lock where key = %(key)s and not holds

-- name: release
delete from tenantry.run_lock where pid = pg_backend_pid()

-- name: holder
select r.pid from tenantry.run_lock r
  join pg_locks l on l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.pid = r.pid
                 and l.database = (select oid from pg_database where datname = current_database())
                 and (l.classid::bigint << 32) + l.objid::bigint = r.key
 where r.holds

-- name: awaited
select true from tenantry.run_lock r
  join pg_locks l on l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.pid = r.pid
                 and l.database = (select oid from pg_database where datname = current_database())
                 and (l.classid::bigint << 32) + l.objid::bigint = r.key
 where not r.holds
 limit 1
