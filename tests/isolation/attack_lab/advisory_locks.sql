-- Advisory locks for everybody, which fill the table of locks that all databases share; mended, they are for those who need them.
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
