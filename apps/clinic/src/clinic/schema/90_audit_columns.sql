-- The database sets created_at, created_by, updated_at and updated_by, and legacy_id for rows that were not migrated.

create function set_audit_columns() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    person constant uuid := tenantry.profile_id();
begin
    -- A session that may act as the table's owner could disable this trigger, so trusting its values loses nothing: a
    -- migration can keep original times and authors. A person in the context is recorded in any case.
    if person is null then
        if pg_has_role(session_user, (select c.relowner from pg_class as c where c.oid = tg_relid), 'MEMBER') then
            return new;
        end if;
        -- The application's login acts for a person, or as the service. SQL of a client can drop its own seal within a
        -- statement, and its role, too; its writes must then not look like the service's.
        if pg_has_role(session_user, 'authenticated', 'MEMBER') and current_setting('role') <> 'service_role' then
            raise exception 'the context names no person who could write this' using errcode = 'insufficient_privilege';
        end if;
    end if;

    if tg_op = 'INSERT' then
        new.created_at := now();
        new.created_by := person;
    else
        new.created_at := old.created_at;
        new.created_by := old.created_by;
    end if;
    new.updated_at := now();
    new.updated_by := person;
    return new;
end
$$;
comment on function set_audit_columns() is
    'Trigger that records who created and who last changed a row, and when. Values in the statement are only used if the context names no person and the session may act as the owner of the table. Clients without a person are refused.';


create function set_legacy_id() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    new.legacy_id := new.id::text;
    return new;
end
$$;
comment on function set_legacy_id() is
    'Trigger that gives a new row its own id as legacy id, so that replay into the source maps it to itself.';


create trigger set_audit_columns before insert or update on clinics                 for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on profiles                for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on providers               for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on user_clinic_roles       for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on clinic_invitations      for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on clinic_shares           for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on locations               for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on provider_locations      for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on clinic_calendar         for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on external_id_mappings    for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on metric_definitions      for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on google_credentials      for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on spreadsheet_connections for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on column_mappings         for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on metric_values           for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on metric_aggregations     for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on system_goal_templates   for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on goal_templates          for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on goals                   for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on dashboards              for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on widgets                 for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on financial_metrics       for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on appointment_metrics     for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on call_metrics            for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on patient_metrics         for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on export_jobs             for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on reports                 for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on notifications           for each row execute function set_audit_columns();
create trigger set_audit_columns before insert or update on system_settings         for each row execute function set_audit_columns();

create trigger set_legacy_id before insert on clinics                 for each row when (new.legacy_id is null) execute function set_legacy_id();
create trigger set_legacy_id before insert on profiles                for each row when (new.legacy_id is null) execute function set_legacy_id();
create trigger set_legacy_id before insert on providers               for each row when (new.legacy_id is null) execute function set_legacy_id();
create trigger set_legacy_id before insert on user_clinic_roles       for each row when (new.legacy_id is null) execute function set_legacy_id();
create trigger set_legacy_id before insert on metric_definitions      for each row when (new.legacy_id is null) execute function set_legacy_id();
create trigger set_legacy_id before insert on google_credentials      for each row when (new.legacy_id is null) execute function set_legacy_id();
create trigger set_legacy_id before insert on spreadsheet_connections for each row when (new.legacy_id is null) execute function set_legacy_id();
create trigger set_legacy_id before insert on column_mappings         for each row when (new.legacy_id is null) execute function set_legacy_id();
create trigger set_legacy_id before insert on metric_values           for each row when (new.legacy_id is null) execute function set_legacy_id();
create trigger set_legacy_id before insert on goals                   for each row when (new.legacy_id is null) execute function set_legacy_id();
create trigger set_legacy_id before insert on dashboards              for each row when (new.legacy_id is null) execute function set_legacy_id();
create trigger set_legacy_id before insert on widgets                 for each row when (new.legacy_id is null) execute function set_legacy_id();


-- These columns mean the same in every table, so each is described once.
do $$
declare
    target record;
begin
    for target in
        select c.oid::regclass as table_name, a.attname as column_name, meaning.description
          from pg_class as c
          join pg_attribute as a on a.attrelid = c.oid
          join (values
                ('clinic_id',  'The clinic that the row belongs to; never changes.'),
                ('id',         'The row, within its clinic if it has one; never changes.'),
                ('legacy_id',  'Id of the row before the migration; its own id as text if the row was created afterwards.'),
                ('created_at', 'When the row was created.'),
                ('updated_at', 'When the row was last changed.'),
                ('created_by', 'Profile of the person who created the row, null for the service; deliberately without a foreign key, so that history outlives a deleted person.'),
                ('updated_by', 'Profile of the person who last changed the row, null for the service; deliberately without a foreign key, so that history outlives a deleted person.')
               ) as meaning (column_name, description) on meaning.column_name = a.attname
         where c.relnamespace = 'clinic'::regnamespace
           and c.relkind = 'r'
           and col_description(c.oid, a.attnum) is null
    loop
        execute format('comment on column %s.%I is %L', target.table_name, target.column_name, target.description);
    end loop;
end
$$;
