-- The write pause of a transaction, enforced and measured by the server.

-- name: guard
-- Waits, in a separate session, for the end of a transaction that blocks writers; ends its session at the bound,
-- regardless of the state of its process; and records how long writers were blocked.
-- The transaction holds the same lock, on a journal table that is never altered, from right before its other locks to its end.
-- It is a table lock, since LOCK TABLE takes no snapshot: the transaction's snapshot must be taken after its locks.
do $$
declare
    begun timestamptz := clock_timestamp();
    run_of bigint := current_setting('tenantry.pause_run')::bigint;
    attempt text := current_setting('tenantry.pause_attempt');
    acting text := current_setting('role');
    ended boolean := false;
    held integer;
begin
    begin
        perform set_config('lock_timeout', current_setting('tenantry.pause_bound') || 'ms', true);
        lock table tenantry.only in share update exclusive mode;
    exception when lock_not_available then
        -- A login may end its own sessions, but not under SET ROLE.
        perform set_config('role', 'none', true);
        ended := pg_terminate_backend(current_setting('tenantry.pause_pid')::integer);
        perform set_config('role', acting, true);
        perform set_config('lock_timeout', '60s', true);
        lock table tenantry.only in share update exclusive mode;
    end;
    held := round(extract(epoch from clock_timestamp() - begun) * 1000);
    update tenantry.event e
       set data = e.data || jsonb_build_object('stall_ms', held, 'longest_stall_ms',
                                               greatest(held, (e.data ->> 'longest_stall_ms')::integer))
     where e.run_id = run_of and e.data ->> 'attempt' = attempt;
    if not found then
        insert into tenantry.event (run_id, code, message, data)
        values (run_of, 'turn_taken_back', case when ended then 'an attempt was ended by the server at the bound'
                                                else 'an attempt was taken back' end,
                jsonb_build_object('attempt', attempt, 'stall_ms', held, 'ended_by_server', ended));
    end if;
end
$$

-- name: tell_guard
select set_config('tenantry.pause_run', %(run)s, false), set_config('tenantry.pause_attempt', %(attempt)s, false),
       set_config('tenantry.pause_pid', %(pid)s, false), set_config('tenantry.pause_bound', %(bound)s, false)

-- name: held
-- The guard's record of an attempt.
select (data ->> 'stall_ms')::float8, coalesce((data ->> 'ended_by_server')::boolean, false)
  from tenantry.event where run_id = %(run)s and data ->> 'attempt' = %(attempt)s order by id desc limit 1
