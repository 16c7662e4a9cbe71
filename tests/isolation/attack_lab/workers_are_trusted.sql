-- A policy that trusts processes in the background.
-- attacks: parallel_workers

-- name: broken
reset role;
create function in_background() returns boolean language sql stable parallel safe security definer
    set search_path = pg_catalog, pg_temp
as $$ select backend_type <> 'client backend' from pg_stat_activity where pid = pg_backend_pid() $$;
grant execute on function in_background() to authenticated;
drop policy select_guest on note;
create policy select_guest on note for select to authenticated
    using (org_id = any ((select tenantry.tenants('guest'))::uuid[]) or in_background());

-- name: mended
