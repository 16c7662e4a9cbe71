-- name: exists
select to_regclass('tenantry.auth_event') is not null

-- name: listed
-- Open events, the oldest first; with `everything` also completed ones.
select id, account, profile, kind, what, code, message, tries, at, next_at, done_at
  from tenantry.auth_event
 where %(everything)s or done_at is null
 order by done_at is not null, at, id
 limit %(limit)s

-- name: open
select count(*) as open from tenantry.auth_event where done_at is null

-- name: due
-- No event is open any more.
update tenantry.auth_event set next_at = clock_timestamp() where done_at is null and next_at > clock_timestamp()

-- name: retry
select tried, done, remaining from tenantry.retry_auth_events(%(most)s)
