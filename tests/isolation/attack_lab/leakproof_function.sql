-- A function that claims to be leakproof, and is not.
-- attacks: leak_by_leakproof_function

-- name: broken
reset role;
create function app.shown(uuid) returns uuid language plpgsql immutable leakproof cost 0.1 as $$
begin raise notice 'shown: %', $1; return $1; end $$;
grant execute on function app.shown(uuid) to authenticated;

-- name: mended
reset role;
create function app.shown(uuid) returns uuid language plpgsql immutable leakproof cost 0.1 as $$
begin return $1; end $$;
grant execute on function app.shown(uuid) to authenticated;
