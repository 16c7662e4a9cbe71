-- A function that locks a key made from the tenant's id; in the repaired twin from an id that only the row has.
-- attacks: locks_of_others

-- name: broken
create function work_alone(org uuid) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin perform pg_advisory_xact_lock(hashtextextended(org::text, 0)); end $$;
grant execute on function work_alone(uuid) to authenticated;

-- name: mended
create function work_alone(org uuid) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin perform pg_advisory_xact_lock(hashtextextended(org::text || 'known to nobody who attacks', 17)); end $$;
grant execute on function work_alone(uuid) to authenticated;
