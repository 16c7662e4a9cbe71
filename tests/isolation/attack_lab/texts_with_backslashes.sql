-- A trigger whose pattern has backslashes: a caller who sets standard_conforming_strings off makes it let everything through.
-- attacks: function_texts_left

-- name: broken
create function look() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin if new.kind !~ '^\w+\.made$' then raise exception 'no such kind'; end if; return new; end $$;
create trigger look before insert on event for each row execute function look();

-- name: mended
create function look() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin if new.kind !~ E'^\\w+[.]made$' then raise exception 'no such kind'; end if; return new; end $$;
create trigger look before insert on event for each row execute function look();
