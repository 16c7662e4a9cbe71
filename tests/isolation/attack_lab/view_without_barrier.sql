-- A view that filters by tenant with a function that costs more than what the asker adds, without a barrier.
-- attacks: leak_by_cast, leak_by_division, leak_by_cheap_function

-- name: broken
create function may_see(org uuid) returns boolean language plpgsql stable as $$
begin return org = any (tenantry.tenants('guest')); end $$;
grant execute on function may_see(uuid) to authenticated;
create view my_notes as select org_id, id, title, id::text as code from note where may_see(org_id);
grant select on my_notes to authenticated;
reset role;
grant temporary on database {database} to public;

-- name: mended
create function may_see(org uuid) returns boolean language plpgsql stable as $$
begin return org = any (tenantry.tenants('guest')); end $$;
grant execute on function may_see(uuid) to authenticated;
create view my_notes with (security_barrier = true) as select org_id, id, title, id::text as code from note where may_see(org_id);
grant select on my_notes to authenticated;
reset role;
grant temporary on database {database} to public;
