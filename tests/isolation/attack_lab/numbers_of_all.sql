-- One sequence for the rows of all tenants; in the repaired twin each tenant has its own numbers.
-- attacks: sequence_gaps

-- name: broken
alter table comment add column number bigint generated always as identity;
grant select (number) on comment to authenticated;

-- name: mended
alter table comment add column number bigint generated always as identity;
grant select (number) on comment to authenticated;
create function count_for_itself() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    new.number := (select coalesce(max(number), 0) + 1 from app.comment where org_id = new.org_id);
    return new;
end $$;
create trigger count_for_itself before insert on comment for each row execute function count_for_itself();
