-- Measured values and their sums. metric_values is the largest table: it has no index without a foreign key or a query.

create table metric_values (
    clinic_id             uuid           not null,
    id                    uuid           not null default gen_random_uuid(),
    legacy_id             text           not null,
    metric_definition_id  uuid           not null,
    provider_id           uuid,
    connection_id         uuid,
    date                  date           not null,
    value                 numeric(20,4),
    source_type           metric_source  not null,
    source_sheet          text,
    external_id           text,
    created_at            timestamptz    not null default now(),
    updated_at            timestamptz    not null default now(),
    created_by            uuid,
    updated_by            uuid,

    constraint metric_values_pkey                          primary key (clinic_id, id),
    constraint metric_values_clinic_id_legacy_id_key       unique (clinic_id, legacy_id),
    constraint metric_values_clinic_id_natural_key         unique nulls not distinct (clinic_id, metric_definition_id, date, provider_id, source_type),
    constraint metric_values_value_check                   check (value <> 'NaN'),
    constraint metric_values_clinic_id_fkey                foreign key (clinic_id) references clinics (id)
        deferrable initially immediate,
    constraint metric_values_metric_definition_id_fkey     foreign key (metric_definition_id) references metric_definitions (id)
        deferrable initially immediate,
    constraint metric_values_clinic_id_provider_id_fkey    foreign key (clinic_id, provider_id) references providers (clinic_id, id)
        on delete set null (provider_id) deferrable initially immediate,
    constraint metric_values_clinic_id_connection_id_fkey  foreign key (clinic_id, connection_id) references spreadsheet_connections (clinic_id, id)
        on delete set null (connection_id) deferrable initially immediate
);
comment on table  metric_values                       is 'One value of one metric for one day, of a clinic or of one of its providers.';
comment on column metric_values.metric_definition_id  is 'The metric that was measured.';
comment on column metric_values.provider_id           is 'The provider of the value; null for the clinic as a whole.';
comment on column metric_values.connection_id         is 'Spreadsheet that it was read from; null if typed in, or if the connection was deleted.';
comment on column metric_values.date                  is 'The day, in the zone of the clinic.';
comment on column metric_values.value                 is 'The value in the unit of the metric: money in the clinic''s currency, percentages as ratio (0.98), counts; null if reported as missing, which is not zero.';
comment on column metric_values.source_type           is 'Where the value comes from.';
comment on column metric_values.source_sheet          is 'Tab that it was read from.';
comment on column metric_values.external_id           is 'Identifier of the row in its source, if any.';

create index metric_values_clinic_id_provider_id_idx   on metric_values (clinic_id, provider_id, date);
create index metric_values_clinic_id_connection_id_idx on metric_values (clinic_id, connection_id);
create index metric_values_metric_definition_id_idx    on metric_values (metric_definition_id);


create table metric_aggregations (
    clinic_id             uuid               not null,
    id                    uuid               not null default gen_random_uuid(),
    metric_definition_id  uuid               not null,
    provider_id           uuid,
    grain                 aggregation_grain  not null,
    period_start          date               not null,
    period_end            date               not null,
    value_count           bigint             not null,
    value_sum             numeric(24,4),
    value_min             numeric(20,4),
    value_max             numeric(20,4),
    value_average         numeric(20,4),
    value_stddev          numeric(20,4),
    numerator             numeric(24,4),
    denominator           numeric(24,4),
    computed_at           timestamptz        not null default now(),
    created_at            timestamptz        not null default now(),
    updated_at            timestamptz        not null default now(),
    created_by            uuid,
    updated_by            uuid,

    constraint metric_aggregations_pkey                        primary key (clinic_id, id),
    constraint metric_aggregations_clinic_id_natural_key       unique nulls not distinct (clinic_id, metric_definition_id, grain, period_start, provider_id),
    constraint metric_aggregations_period_check                check (period_end >= period_start),
    constraint metric_aggregations_value_count_check           check (value_count >= 0),
    constraint metric_aggregations_clinic_id_fkey              foreign key (clinic_id) references clinics (id)
        on delete cascade deferrable initially immediate,
    constraint metric_aggregations_metric_definition_id_fkey   foreign key (metric_definition_id) references metric_definitions (id)
        on delete cascade deferrable initially immediate,
    constraint metric_aggregations_clinic_id_provider_id_fkey  foreign key (clinic_id, provider_id) references providers (clinic_id, id)
        on delete cascade deferrable initially immediate
);
comment on table  metric_aggregations                       is 'Values of one metric summed over a period; derived from metric_values, never edited, and deleted with the values.';
comment on column metric_aggregations.metric_definition_id  is 'The metric; one aggregation never mixes metrics.';
comment on column metric_aggregations.provider_id           is 'The provider of the values; null for all rows of the clinic, including those of its providers.';
comment on column metric_aggregations.grain                 is 'Length of the period.';
comment on column metric_aggregations.period_start          is 'First day of the period.';
comment on column metric_aggregations.period_end            is 'Last day of the period, included.';
comment on column metric_aggregations.value_count           is 'Number of values; missing ones do not count.';
comment on column metric_aggregations.value_sum             is 'Their sum; null without values, and for percentages.';
comment on column metric_aggregations.value_min             is 'The smallest of them.';
comment on column metric_aggregations.value_max             is 'The largest of them.';
comment on column metric_aggregations.value_average         is 'Their arithmetic mean; for percentages the ratio of sums instead.';
comment on column metric_aggregations.value_stddev          is 'Their sample standard deviation; null for fewer than two.';
comment on column metric_aggregations.numerator             is 'For percentages: the sum of the numerators, so that longer periods remain a ratio of sums.';
comment on column metric_aggregations.denominator           is 'For percentages: the sum of the denominators.';
comment on column metric_aggregations.computed_at           is 'When the aggregation was computed.';

create index metric_aggregations_clinic_id_provider_id_idx on metric_aggregations (clinic_id, provider_id);
create index metric_aggregations_metric_definition_id_idx  on metric_aggregations (metric_definition_id);
