-- The compiled policies: their subquery starts at the first row that fulfils the caller's condition; in the repaired twin a function that counts as cheaper than any condition replaces it, which is slow.
-- attacks: explain_tells_whether_rows_exist

-- name: broken


-- name: mended
create function seen(org uuid) returns boolean language sql stable parallel safe cost 0.000001
    security definer set search_path = pg_catalog, pg_temp
as $$ select org = any (tenantry.tenants('guest')) $$;
grant execute on function seen(uuid) to authenticated;

do $$
declare found record;
begin
    for found in select polname, polrelid::regclass as relation from pg_policy where polcmd = 'r' and polname like 'select_%' loop
        execute format('drop policy %I on %s', found.polname, found.relation);
        execute format('create policy %I on %s for select to authenticated using (app.seen(%s))', found.polname, found.relation,
            case when found.relation::text in ('app.org', 'org') then 'id'
                 when found.relation::text ~ '(person|tag)$' then 'null' else 'org_id' end);
    end loop;
end $$;
