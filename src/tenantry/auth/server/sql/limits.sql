-- Limits as a leaky bucket: `tat` is when a bucket will be empty again. One statement looks and counts, for every process alike.

-- name: take
insert into tenantry_auth.rate_limits as r (key, tat)
values (%(key)s, clock_timestamp() + %(each)s::interval)
    on conflict (key) do update
   set tat = greatest(r.tat, clock_timestamp()) + %(each)s::interval
 where greatest(r.tat, clock_timestamp()) + %(each)s::interval <= clock_timestamp() + %(window)s::interval
returning 1

-- name: sweep
delete from tenantry_auth.rate_limits where tat < clock_timestamp()

-- name: sweep_flows
-- A few at a time, so that no statement is long; the next sweep takes the rest.
delete from auth.flow_state
 where id in (select id from auth.flow_state where created_at < now() - interval '1 day' limit 1000)

-- name: sweep_challenges
delete from auth.mfa_challenges
 where id in (select id from auth.mfa_challenges where created_at < now() - interval '1 day' limit 1000)

-- name: sweep_sessions
-- Sessions that ended a week ago, with their tokens.
delete from auth.sessions
 where id in (select id from auth.sessions where not_after < now() - interval '7 days' limit 1000)

-- name: note
insert into auth.audit_log_entries (id, payload, created_at, ip_address) values (gen_random_uuid(), %(payload)s, now(), '')
