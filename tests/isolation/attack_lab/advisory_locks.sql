-- Advisory locks for PUBLIC, which can fill the lock table of all databases; the repaired twin restricts them.
-- attacks: fill_the_lock_table

-- name: broken


-- name: mended
reset role;
do $$
declare
    each regprocedure;
begin
    for each in select oid from pg_proc where pronamespace = 'pg_catalog'::regnamespace and proname ~ 'advisory.*lock' loop
        execute format('revoke execute on function %s from public', each);
    end loop;
end
$$;
