-- A function that locks under a key made of the tenant's id; mended, of an id that only the row has.
-- attacks: locks_of_others

-- name: broken
create function work_alone(org uuid) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin perform pg_advisory_xact_lock(hashtextextended(org::text, 0)); end $$;
grant execute on function work_alone(uuid) to authenticated;

-- name: mended
create function work_alone(org uuid) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin perform pg_advisory_xact_lock(hashtextextended(org::text || 'known to nobody who attacks', 17)); end $$;
grant execute on function work_alone(uuid) to authenticated;
