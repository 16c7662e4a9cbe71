-- Dashboards. Each is owned by a membership: it is private to one person within one clinic.

create table dashboards (
    clinic_id      uuid         not null,
    id             uuid         not null default gen_random_uuid(),
    legacy_id      text         not null,
    profile_id     uuid         not null,
    name           text         not null,
    is_default     boolean      not null default false,
    layout_config  jsonb,
    created_at     timestamptz  not null default now(),
    updated_at     timestamptz  not null default now(),
    created_by     uuid,
    updated_by     uuid,

    constraint dashboards_pkey                       primary key (clinic_id, id),
    constraint dashboards_clinic_id_legacy_id_key    unique (clinic_id, legacy_id),
    constraint dashboards_clinic_id_fkey             foreign key (clinic_id) references clinics (id)
        deferrable initially immediate,
    constraint dashboards_clinic_id_profile_id_fkey  foreign key (clinic_id, profile_id) references user_clinic_roles (clinic_id, profile_id)
        deferrable initially immediate
);
comment on table  dashboards                is 'Dashboards of a member; only this person sees them, within this clinic.';
comment on column dashboards.profile_id     is 'The member who owns the dashboard.';
comment on column dashboards.name           is 'Name of the dashboard.';
comment on column dashboards.is_default     is 'Whether it opens first.';
comment on column dashboards.layout_config  is 'Arrangement of the widgets, with their ids; null for the order of their creation.';

create index dashboards_clinic_id_profile_id_idx on dashboards (clinic_id, profile_id);


create table widgets (
    clinic_id             uuid         not null,
    id                    uuid         not null default gen_random_uuid(),
    legacy_id             text         not null,
    dashboard_id          uuid         not null,
    metric_definition_id  uuid,
    widget_type           widget_type  not null,
    chart_type            text,
    position_x            integer      not null,
    position_y            integer      not null,
    width                 integer      not null,
    height                integer      not null,
    config                jsonb,
    created_at            timestamptz  not null default now(),
    updated_at            timestamptz  not null default now(),
    created_by            uuid,
    updated_by            uuid,

    constraint widgets_pkey                         primary key (clinic_id, id),
    constraint widgets_clinic_id_legacy_id_key      unique (clinic_id, legacy_id),
    constraint widgets_position_check               check (position_x >= 0 and position_y >= 0),
    constraint widgets_size_check                   check (width > 0 and height > 0),
    constraint widgets_clinic_id_fkey               foreign key (clinic_id) references clinics (id)
        deferrable initially immediate,
    constraint widgets_clinic_id_dashboard_id_fkey  foreign key (clinic_id, dashboard_id) references dashboards (clinic_id, id)
        on delete cascade deferrable initially immediate,
    constraint widgets_metric_definition_id_fkey    foreign key (metric_definition_id) references metric_definitions (id)
        on delete set null deferrable initially immediate
);
comment on table  widgets                       is 'The parts of a dashboard.';
comment on column widgets.dashboard_id          is 'The dashboard that owns the widget; deleted with it.';
comment on column widgets.metric_definition_id  is 'The metric shown; null if its configuration names several, or if it was deleted.';
comment on column widgets.widget_type           is 'How the metric is shown.';
comment on column widgets.chart_type            is 'Kind of chart, such as line or bar; null for other widgets.';
comment on column widgets.position_x            is 'Column of the grid, from 0.';
comment on column widgets.position_y            is 'Row of the grid, from 0.';
comment on column widgets.width                 is 'Width in columns.';
comment on column widgets.height                is 'Height in rows.';
comment on column widgets.config                is 'Further settings, with ids of metric definitions and providers; null without any.';

create index widgets_clinic_id_dashboard_id_idx on widgets (clinic_id, dashboard_id);
create index widgets_metric_definition_id_idx   on widgets (metric_definition_id);
