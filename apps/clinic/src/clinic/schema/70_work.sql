-- Background work for the people of Clinic, and the settings of the installation.

create table export_jobs (
    clinic_id      uuid           not null,
    id             uuid           not null default gen_random_uuid(),
    profile_id     uuid           not null,
    subject        text           not null,
    format         export_format  not null,
    parameters     jsonb          not null default '{}',
    status         job_status     not null default 'queued',
    started_at     timestamptz,
    finished_at    timestamptz,
    row_count      bigint,
    file_path      text,
    error_message  text,
    expires_at     timestamptz,
    created_at     timestamptz    not null default now(),
    updated_at     timestamptz    not null default now(),
    created_by     uuid,
    updated_by     uuid,

    constraint export_jobs_pkey                       primary key (clinic_id, id),
    constraint export_jobs_times_check                check (finished_at >= started_at),
    constraint export_jobs_row_count_check            check (row_count >= 0),
    constraint export_jobs_clinic_id_fkey             foreign key (clinic_id) references clinics (id)
        deferrable initially immediate,
    constraint export_jobs_clinic_id_profile_id_fkey  foreign key (clinic_id, profile_id) references user_clinic_roles (clinic_id, profile_id)
        deferrable initially immediate
);
comment on table  export_jobs                is 'Exports that a member requested; run with the rights of that member.';
comment on column export_jobs.profile_id     is 'The member who requested it.';
comment on column export_jobs.subject        is 'What is exported, such as metric_values or goals.';
comment on column export_jobs.format         is 'Kind of file.';
comment on column export_jobs.parameters     is 'Filters: period, providers, metrics.';
comment on column export_jobs.status         is 'The progress of the export.';
comment on column export_jobs.started_at     is 'When work began; null while queued.';
comment on column export_jobs.finished_at    is 'When work ended, with success or not.';
comment on column export_jobs.row_count      is 'Rows written; null until done.';
comment on column export_jobs.file_path      is 'Where the service keeps the file; null until done.';
comment on column export_jobs.error_message  is 'Why it failed, without any values of rows.';
comment on column export_jobs.expires_at     is 'When the file is removed.';

create index export_jobs_clinic_id_profile_id_idx on export_jobs (clinic_id, profile_id);


create table reports (
    clinic_id     uuid         not null,
    id            uuid         not null default gen_random_uuid(),
    name          text         not null,
    time_period   time_period  not null,
    period_start  date         not null,
    period_end    date         not null,
    status        job_status   not null default 'queued',
    content       jsonb,
    generated_at  timestamptz,
    sent_at       timestamptz,
    created_at    timestamptz  not null default now(),
    updated_at    timestamptz  not null default now(),
    created_by    uuid,
    updated_by    uuid,

    constraint reports_pkey                    primary key (clinic_id, id),
    constraint reports_clinic_id_natural_key   unique (clinic_id, name, time_period, period_start),
    constraint reports_period_check            check (period_end >= period_start),
    constraint reports_content_check           check (status <> 'done' or (content is not null and generated_at is not null)),
    constraint reports_clinic_id_fkey          foreign key (clinic_id) references clinics (id)
        deferrable initially immediate
);
comment on table  reports               is 'Reports on a period of a clinic, unchanged since they were written.';
comment on column reports.name          is 'Name of the report.';
comment on column reports.time_period   is 'Period of the report.';
comment on column reports.period_start  is 'First day covered.';
comment on column reports.period_end    is 'Last day covered, included.';
comment on column reports.status        is 'The progress of the report.';
comment on column reports.content       is 'Figures of the report; null until done.';
comment on column reports.generated_at  is 'When the figures were taken; null until done.';
comment on column reports.sent_at       is 'When the report was mailed; null if it was not.';


create table notifications (
    clinic_id   uuid               not null,
    id          uuid               not null default gen_random_uuid(),
    profile_id  uuid               not null,
    kind        notification_kind  not null,
    title       text               not null,
    body        text,
    payload     jsonb              not null default '{}',
    read_at     timestamptz,
    created_at  timestamptz        not null default now(),
    updated_at  timestamptz        not null default now(),
    created_by  uuid,
    updated_by  uuid,

    constraint notifications_pkey                       primary key (clinic_id, id),
    constraint notifications_clinic_id_fkey             foreign key (clinic_id) references clinics (id)
        deferrable initially immediate,
    constraint notifications_clinic_id_profile_id_fkey  foreign key (clinic_id, profile_id) references user_clinic_roles (clinic_id, profile_id)
        on delete cascade deferrable initially immediate
);
comment on table  notifications             is 'Messages to a member, deleted with the membership.';
comment on column notifications.profile_id  is 'The recipient.';
comment on column notifications.kind        is 'The subject.';
comment on column notifications.title       is 'The message in one line.';
comment on column notifications.body        is 'More text, if one line is not enough.';
comment on column notifications.payload     is 'Ids of the objects to link to.';
comment on column notifications.read_at     is 'When it was read; null if it was not.';

create index notifications_clinic_id_profile_id_idx on notifications (clinic_id, profile_id, created_at);


create table system_settings (
    id           uuid         not null default gen_random_uuid(),
    key          text         not null,
    value        jsonb        not null,
    description  text,
    created_at   timestamptz  not null default now(),
    updated_at   timestamptz  not null default now(),
    created_by   uuid,
    updated_by   uuid,

    constraint system_settings_pkey     primary key (id),
    constraint system_settings_key_key  unique (key)
);
comment on table  system_settings              is 'Settings of the installation, read by every signed-in user, written by super admins; never secrets.';
comment on column system_settings.key          is 'Name of the setting.';
comment on column system_settings.value        is 'Its value.';
comment on column system_settings.description  is 'Effect of the setting.';
