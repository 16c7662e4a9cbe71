-- Spreadsheets that Clinic reads: who grants access, which file, and which column holds which metric.

create table google_credentials (
    clinic_id                uuid         not null,
    id                       uuid         not null default gen_random_uuid(),
    legacy_id                text         not null,
    owner_label              text,
    access_token_encrypted   bytea        not null,
    refresh_token_encrypted  bytea,
    scope                    text[]       not null,
    expires_at               timestamptz,
    created_at               timestamptz  not null default now(),
    updated_at               timestamptz  not null default now(),
    created_by               uuid,
    updated_by               uuid,

    constraint google_credentials_pkey                     primary key (clinic_id, id),
    constraint google_credentials_clinic_id_legacy_id_key  unique (clinic_id, legacy_id),
    constraint google_credentials_clinic_id_fkey           foreign key (clinic_id) references clinics (id)
        deferrable initially immediate
);
comment on table  google_credentials                          is 'Access to Google that a clinic has granted; only the service reads the tokens; admins read the rest.';
comment on column google_credentials.owner_label              is 'Owner of the Google account, as shown to the clinic; null if unknown.';
comment on column google_credentials.access_token_encrypted   is 'Access token, encrypted by the application; the key is not in the database.';
comment on column google_credentials.refresh_token_encrypted  is 'Refresh token, encrypted in the same way; null if Google gave none.';
comment on column google_credentials.scope                    is 'Granted OAuth scopes.';
comment on column google_credentials.expires_at               is 'When the access token expires; null if unknown.';


create table spreadsheet_connections (
    clinic_id         uuid         not null,
    id                uuid         not null default gen_random_uuid(),
    legacy_id         text         not null,
    credential_id     uuid         not null,
    name              text         not null,
    spreadsheet_id    text         not null,
    spreadsheet_name  text,
    sheet_names       text[]       not null default '{}',
    sync_status       sync_status  not null default 'active',
    sync_frequency    text         not null,
    app_script_id     text,
    last_synced_at    timestamptz,
    created_at        timestamptz  not null default now(),
    updated_at        timestamptz  not null default now(),
    created_by        uuid,
    updated_by        uuid,

    constraint spreadsheet_connections_pkey                          primary key (clinic_id, id),
    constraint spreadsheet_connections_clinic_id_legacy_id_key       unique (clinic_id, legacy_id),
    constraint spreadsheet_connections_clinic_id_fkey                foreign key (clinic_id) references clinics (id)
        deferrable initially immediate,
    constraint spreadsheet_connections_clinic_id_credential_id_fkey  foreign key (clinic_id, credential_id) references google_credentials (clinic_id, id)
        deferrable initially immediate
);
comment on table  spreadsheet_connections                   is 'Spreadsheets that a clinic has connected.';
comment on column spreadsheet_connections.credential_id     is 'The grant used to read the file.';
comment on column spreadsheet_connections.name              is 'The clinic''s name for the connection.';
comment on column spreadsheet_connections.spreadsheet_id    is 'Google''s id of the file.';
comment on column spreadsheet_connections.spreadsheet_name  is 'Title of the file when it was last read; null if it never was.';
comment on column spreadsheet_connections.sheet_names       is 'Tabs that are read, in this order.';
comment on column spreadsheet_connections.sync_status       is 'Whether the file is read, paused, or stopped by an error.';
comment on column spreadsheet_connections.sync_frequency    is 'How often the file is read, in words, such as daily or hourly.';
comment on column spreadsheet_connections.app_script_id     is 'Google''s id of the script bound to the file, if there is one.';
comment on column spreadsheet_connections.last_synced_at    is 'When the file was last read completely; null if never.';

create index spreadsheet_connections_clinic_id_credential_id_idx on spreadsheet_connections (clinic_id, credential_id);


create table column_mappings (
    clinic_id             uuid         not null,
    id                    uuid         not null default gen_random_uuid(),
    legacy_id             text         not null,
    connection_id         uuid         not null,
    metric_definition_id  uuid         not null,
    sheet_name            text         not null,
    column_name           text         not null,
    transformation_rule   text,
    mapping_config        jsonb        not null,
    template_name         text,
    version               integer      not null default 1,
    is_active             boolean      not null default true,
    created_at            timestamptz  not null default now(),
    updated_at            timestamptz  not null default now(),
    created_by            uuid,
    updated_by            uuid,

    constraint column_mappings_pkey                          primary key (clinic_id, id),
    constraint column_mappings_clinic_id_legacy_id_key       unique (clinic_id, legacy_id),
    constraint column_mappings_mapping_config_check          check (jsonb_typeof(mapping_config) = 'object'),
    constraint column_mappings_version_check                 check (version > 0),
    constraint column_mappings_clinic_id_fkey                foreign key (clinic_id) references clinics (id)
        deferrable initially immediate,
    constraint column_mappings_clinic_id_connection_id_fkey  foreign key (clinic_id, connection_id) references spreadsheet_connections (clinic_id, id)
        deferrable initially immediate,
    constraint column_mappings_metric_definition_id_fkey     foreign key (metric_definition_id) references metric_definitions (id)
        deferrable initially immediate
);
comment on table  column_mappings                       is 'Mappings of a column of a tab to a metric.';
comment on column column_mappings.connection_id         is 'The spreadsheet.';
comment on column column_mappings.metric_definition_id  is 'The metric that the column holds.';
comment on column column_mappings.sheet_name            is 'The tab.';
comment on column column_mappings.column_name           is 'Header of the column, as the office writes it.';
comment on column column_mappings.transformation_rule   is 'How a cell becomes a value; null if unchanged.';
comment on column column_mappings.mapping_config        is 'The complete mapping for a sync: column name, metric id, transformation rule and additions of a template.';
comment on column column_mappings.template_name         is 'Template that the mapping was made from; null if made by hand.';
comment on column column_mappings.version               is 'Increases from 1 with each change of the layout.';
comment on column column_mappings.is_active             is 'False for layouts that are no longer read.';

create index column_mappings_clinic_id_connection_id_idx on column_mappings (clinic_id, connection_id);
create index column_mappings_metric_definition_id_idx    on column_mappings (metric_definition_id);
