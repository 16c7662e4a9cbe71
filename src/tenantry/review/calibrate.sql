-- A short measurement on temporary tables, in a transaction that is rolled back.

-- name: measure
-- Copy rows with derived ids, build an index, validate a foreign key and scan, with {rows} rows; the seconds that each took.
do $calibrate$
declare
    began timestamptz;
    took float8[] := '{{}}';
begin
    drop table if exists pg_temp.tenantry_calibration_target, pg_temp.tenantry_calibration_source, pg_temp.tenantry_calibration_parent;
    create temporary table tenantry_calibration_parent (old text, id uuid primary key) on commit drop;
    insert into pg_temp.tenantry_calibration_parent
    select 'parent-' || g, gen_random_uuid() from generate_series(1, greatest(1, {rows} / 20)) g;
    create temporary table tenantry_calibration_source (id text, parent text, amount text, noted text, body text) on commit drop;
    insert into pg_temp.tenantry_calibration_source
    select 'c' || md5(g::text), 'parent-' || (g % greatest(1, {rows} / 20) + 1), (g % 1000) || '.25', '2024-05-06 07:08:09',
           repeat('x', 40)
      from generate_series(1, {rows}) g;
    analyze pg_temp.tenantry_calibration_parent, pg_temp.tenantry_calibration_source;
    create temporary table tenantry_calibration_target
        (tenant uuid not null, id uuid not null, old text not null, amount numeric(12, 2), noted timestamptz, body text) on commit drop;

    began := clock_timestamp();
    insert into pg_temp.tenantry_calibration_target
    select p.id, {id}, s.id,
           case when checked.fine then s.amount::numeric(12, 2) end, s.noted::timestamp at time zone 'UTC', s.body
      from pg_temp.tenantry_calibration_source s
      join pg_temp.tenantry_calibration_parent p on p.old = s.parent
     cross join lateral (select s.amount ~ '^-?[0-9]+([.][0-9]+)?$' as fine offset 0) checked;
    took := took || extract(epoch from clock_timestamp() - began)::float8;

    began := clock_timestamp();
    create unique index on pg_temp.tenantry_calibration_target (tenant, id);
    took := took || extract(epoch from clock_timestamp() - began)::float8;

    alter table pg_temp.tenantry_calibration_target add constraint parent foreign key (tenant)
        references pg_temp.tenantry_calibration_parent (id) not valid;
    began := clock_timestamp();
    alter table pg_temp.tenantry_calibration_target validate constraint parent;
    took := took || extract(epoch from clock_timestamp() - began)::float8;

    began := clock_timestamp();
    perform count(*), max(t.body) from pg_temp.tenantry_calibration_target t;
    took := took || extract(epoch from clock_timestamp() - began)::float8;
    perform set_config('tenantry.calibration', took::text, true);
end
$calibrate$

-- name: result
-- The seconds that the last measurement took, in its order, and the bytes of its target.
select current_setting('tenantry.calibration')::float8[], pg_relation_size('pg_temp.tenantry_calibration_target')

-- name: may
-- Whether this is a standby, and whether the login may create temporary tables.
select pg_is_in_recovery(), has_database_privilege(current_database(), 'TEMPORARY')
