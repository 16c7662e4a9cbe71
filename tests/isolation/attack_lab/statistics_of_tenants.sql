-- Statistics of the number of rows per tenant; the repaired twin has none on the tenant column.
-- attacks: explain_estimates_a_tenant

-- name: broken


-- name: mended
do $$
declare found record;
begin
    for found in select attrelid::regclass as relation from pg_attribute
                  where attname = 'org_id' and attrelid in (select oid from pg_class where relnamespace = 'app'::regnamespace and relkind = 'r') loop
        execute format('alter table %s alter column org_id set statistics 0', found.relation);
    end loop;
end $$;
