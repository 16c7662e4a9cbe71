-- Where and when a clinic works, and the names that other systems use for its providers and locations.

create table locations (
    clinic_id      uuid         not null,
    id             uuid         not null default gen_random_uuid(),
    name           text         not null,
    address        text,
    location_code  text,
    is_active      boolean      not null default true,
    created_at     timestamptz  not null default now(),
    updated_at     timestamptz  not null default now(),
    created_by     uuid,
    updated_by     uuid,

    constraint locations_pkey                         primary key (clinic_id, id),
    constraint locations_clinic_id_name_key           unique (clinic_id, name),
    constraint locations_clinic_id_location_code_key  unique (clinic_id, location_code),
    constraint locations_clinic_id_fkey               foreign key (clinic_id) references clinics (id)
        deferrable initially immediate
);
comment on table  locations                is 'The offices of a clinic.';
comment on column locations.name           is 'Name of the office, unique within the clinic.';
comment on column locations.address        is 'Postal address, if known.';
comment on column locations.location_code  is 'Short stable code used by spreadsheet syncs; null until the clinic sets it.';
comment on column locations.is_active      is 'False once the office is closed; its figures are kept.';


create table provider_locations (
    clinic_id    uuid         not null,
    id           uuid         not null default gen_random_uuid(),
    provider_id  uuid         not null,
    location_id  uuid         not null,
    starts_on    date         not null,
    ends_on      date,
    is_primary   boolean      not null default false,
    created_at   timestamptz  not null default now(),
    updated_at   timestamptz  not null default now(),
    created_by   uuid,
    updated_by   uuid,

    constraint provider_locations_pkey                        primary key (clinic_id, id),
    constraint provider_locations_clinic_id_assignment_key    unique (clinic_id, provider_id, location_id, starts_on),
    constraint provider_locations_period_check                check (ends_on >= starts_on),
    constraint provider_locations_clinic_id_fkey              foreign key (clinic_id) references clinics (id)
        deferrable initially immediate,
    constraint provider_locations_clinic_id_provider_id_fkey  foreign key (clinic_id, provider_id) references providers (clinic_id, id)
        deferrable initially immediate,
    constraint provider_locations_clinic_id_location_id_fkey  foreign key (clinic_id, location_id) references locations (clinic_id, id)
        deferrable initially immediate
);
comment on table  provider_locations              is 'Which provider works at which office, and when.';
comment on column provider_locations.provider_id  is 'The provider.';
comment on column provider_locations.location_id  is 'The office.';
comment on column provider_locations.starts_on    is 'First day at this office.';
comment on column provider_locations.ends_on      is 'Last day at this office; null while open-ended.';
comment on column provider_locations.is_primary   is 'True for the office to which figures without an office are assigned.';

create index        provider_locations_clinic_id_location_id_idx on provider_locations (clinic_id, location_id);
create unique index provider_locations_primary_key               on provider_locations (clinic_id, provider_id)
    where is_primary and ends_on is null;
comment on index provider_locations_primary_key is 'A provider has at most one current primary office.';


create table clinic_calendar (
    clinic_id   uuid         not null,
    id          uuid         not null default gen_random_uuid(),
    date        date         not null,
    is_open     boolean      not null,
    opens_at    time,
    closes_at   time,
    note        text,
    created_at  timestamptz  not null default now(),
    updated_at  timestamptz  not null default now(),
    created_by  uuid,
    updated_by  uuid,

    constraint clinic_calendar_pkey                primary key (clinic_id, id),
    constraint clinic_calendar_clinic_id_date_key  unique (clinic_id, date),
    constraint clinic_calendar_hours_check         check (num_nonnulls(opens_at, closes_at) in (0, 2) and (closes_at > opens_at) is not false),
    constraint clinic_calendar_closed_check        check (is_open or opens_at is null),
    constraint clinic_calendar_clinic_id_fkey      foreign key (clinic_id) references clinics (id)
        deferrable initially immediate
);
comment on table  clinic_calendar            is 'Production days: the days on which a clinic works; goal pacing and month-end projection count these.';
comment on column clinic_calendar.date       is 'The day, in the zone of the clinic.';
comment on column clinic_calendar.is_open    is 'Whether the day is a production day.';
comment on column clinic_calendar.opens_at   is 'Local opening time; null if closed or unknown.';
comment on column clinic_calendar.closes_at  is 'Local closing time; null if closed or unknown.';
comment on column clinic_calendar.note       is 'Why the day differs from the usual, such as a holiday.';


create table external_id_mappings (
    clinic_id    uuid             not null,
    id           uuid             not null default gen_random_uuid(),
    system       text             not null,
    identifier   text             not null,
    entity_type  external_entity  not null,
    provider_id  uuid,
    location_id  uuid,
    created_at   timestamptz      not null default now(),
    updated_at   timestamptz      not null default now(),
    created_by   uuid,
    updated_by   uuid,

    constraint external_id_mappings_pkey                        primary key (clinic_id, id),
    constraint external_id_mappings_clinic_id_identifier_key    unique (clinic_id, system, entity_type, identifier),
    constraint external_id_mappings_entity_check                check (
        (entity_type = 'provider') = (provider_id is not null) and (entity_type = 'location') = (location_id is not null)),
    constraint external_id_mappings_clinic_id_fkey              foreign key (clinic_id) references clinics (id)
        deferrable initially immediate,
    constraint external_id_mappings_clinic_id_provider_id_fkey  foreign key (clinic_id, provider_id) references providers (clinic_id, id)
        on delete cascade deferrable initially immediate,
    constraint external_id_mappings_clinic_id_location_id_fkey  foreign key (clinic_id, location_id) references locations (clinic_id, id)
        on delete cascade deferrable initially immediate
);
comment on table  external_id_mappings              is 'Identifiers of a clinic''s providers and locations in other systems; one foreign key for each kind of entity.';
comment on column external_id_mappings.system       is 'The other system, such as the practice management software.';
comment on column external_id_mappings.identifier   is 'Its identifier, exactly as that system writes it.';
comment on column external_id_mappings.entity_type  is 'The kind of entity; decides which of the two references is set.';
comment on column external_id_mappings.provider_id  is 'The provider, if the identifier refers to one.';
comment on column external_id_mappings.location_id  is 'The office, if the identifier refers to one.';

create index external_id_mappings_clinic_id_provider_id_idx on external_id_mappings (clinic_id, provider_id);
create index external_id_mappings_clinic_id_location_id_idx on external_id_mappings (clinic_id, location_id);
