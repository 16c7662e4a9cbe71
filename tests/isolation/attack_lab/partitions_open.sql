-- Partitions of one tenant each, with rights and without policies.
-- attacks: read_partition_directly, sizes_of_one_tenant, counts_of_one_tenant

-- name: broken
create sequence org_number;
alter table org alter id set default ('00000000-0000-4000-8000-' || lpad(nextval('org_number')::text, 12, '0'))::uuid;
do $$
begin
    for number in 1 .. 24 loop
        execute format('create table event_%s partition of event for values in (%L)',
            number, '00000000-0000-4000-8000-' || lpad(number::text, 12, '0'));
        execute format('grant select on event_%s to authenticated', number);
    end loop;
end $$;

-- name: mended
