-- A function of policies that is marked immutable, so that plans hold its answer.
-- attacks: plan_of_another_caller

-- name: broken
reset role;
alter function tenantry.tenants(text) immutable;
alter function tenantry.is_super() immutable;
create or replace function app.seen_by() returns uuid[] language sql immutable as $$ select tenantry.tenants('guest') $$;
grant execute on function app.seen_by() to authenticated;
drop policy select_guest on app.note;
create policy select_guest on app.note for select to authenticated using (org_id = any (app.seen_by()));

-- name: mended
