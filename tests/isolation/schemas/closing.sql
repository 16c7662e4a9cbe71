-- Every table is closed but for its policies.
do $$
declare
    each regclass;
begin
    for each in select c.oid from pg_class as c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' loop
        execute format('alter table %s enable row level security', each);
        execute format('grant select, insert, update, delete on %s to authenticated', each);
    end loop;
end $$;
grant execute on all functions in schema private to authenticated;
