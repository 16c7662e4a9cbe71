-- The metrics. All clinics share the definitions.

create table metric_definitions (
    id                   uuid              not null default gen_random_uuid(),
    legacy_id            text              not null,
    name                 text              not null,
    description          text              not null,
    data_type            metric_data_type  not null,
    calculation_formula  text,
    category             metric_category   not null,
    is_composite         boolean           not null default false,
    created_at           timestamptz       not null default now(),
    updated_at           timestamptz       not null default now(),
    created_by           uuid,
    updated_by           uuid,

    constraint metric_definitions_pkey           primary key (id),
    constraint metric_definitions_legacy_id_key  unique (legacy_id)
);
comment on table  metric_definitions                      is 'The metrics that every clinic can record; shared: every signed-in user reads them, super admins write them.';
comment on column metric_definitions.name                 is 'Name of the metric as shown.';
comment on column metric_definitions.description          is 'What the metric counts, and what it does not.';
comment on column metric_definitions.data_type            is 'How values are read, shown and aggregated.';
comment on column metric_definitions.calculation_formula  is 'How the metric follows from others; null for metrics that are only recorded.';
comment on column metric_definitions.category             is 'Heading under which the metric is listed.';
comment on column metric_definitions.is_composite         is 'True if the metric is computed from others and never entered.';
