-- A trigger that sends whole rows to every listener.
-- attacks: listen_to_others

-- name: broken
create function tell() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin perform pg_notify('changes', row_to_json(new)::text); return null; end $$;
create trigger tell after insert on comment for each row execute function tell();

-- name: mended
create function tell() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin perform pg_notify('changes', ''); return null; end $$;
create trigger tell after insert on comment for each row execute function tell();
