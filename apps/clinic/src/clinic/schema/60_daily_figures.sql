-- The daily figures of a clinic. A missing figure is null, never zero. Rates are derived from the sums in the same row and
-- only valid for that row: over several rows the sums are added first, because a rate is a ratio of sums.

create table financial_metrics (
    clinic_id          uuid            not null,
    id                 uuid            not null default gen_random_uuid(),
    date               date            not null,
    financial_type     financial_type  not null,
    category           text            not null,
    amount             numeric(14,2)   not null,
    provider_id        uuid,
    location_id        uuid,
    insurance_carrier  text,
    payment_method     text,
    procedure_code     text,
    source_reference   text,
    created_at         timestamptz     not null default now(),
    updated_at         timestamptz     not null default now(),
    created_by         uuid,
    updated_by         uuid,

    constraint financial_metrics_pkey                            primary key (clinic_id, id),
    constraint financial_metrics_clinic_id_source_reference_key  unique (clinic_id, source_reference),
    constraint financial_metrics_amount_check                    check (amount <> 'NaN'),
    constraint financial_metrics_clinic_id_fkey                  foreign key (clinic_id) references clinics (id)
        deferrable initially immediate,
    constraint financial_metrics_clinic_id_provider_id_fkey      foreign key (clinic_id, provider_id) references providers (clinic_id, id)
        on delete set null (provider_id) deferrable initially immediate,
    constraint financial_metrics_clinic_id_location_id_fkey      foreign key (clinic_id, location_id) references locations (clinic_id, id)
        on delete set null (location_id) deferrable initially immediate
);
comment on table  financial_metrics                    is 'Sums of money by day; net production is the signed sum of production, scheduled, adjustments and write-offs.';
comment on column financial_metrics.date               is 'The day, in the zone of the clinic.';
comment on column financial_metrics.financial_type     is 'Production, collection, adjustment or refund.';
comment on column financial_metrics.category           is 'Finer kind, such as scheduled, write_off, patient, insurance or unearned.';
comment on column financial_metrics.amount             is 'Amount in the clinic''s currency, signed: write-offs and corrections are negative, and production may be.';
comment on column financial_metrics.provider_id        is 'Provider to which it is assigned; null for the clinic.';
comment on column financial_metrics.location_id        is 'Office to which it is assigned; null if not stated.';
comment on column financial_metrics.insurance_carrier  is 'Insurer that paid, for insurance income.';
comment on column financial_metrics.payment_method     is 'Payment method, for collections.';
comment on column financial_metrics.procedure_code     is 'Code of the treatment, for production.';
comment on column financial_metrics.source_reference   is 'Its origin (source, tab, row), unique within the clinic so that no sum is counted twice; null if typed in.';

create index financial_metrics_clinic_id_date_idx        on financial_metrics (clinic_id, date);
create index financial_metrics_clinic_id_provider_id_idx on financial_metrics (clinic_id, provider_id, date);
create index financial_metrics_clinic_id_location_id_idx on financial_metrics (clinic_id, location_id, date);


create table appointment_metrics (
    clinic_id                 uuid              not null,
    id                        uuid              not null default gen_random_uuid(),
    date                      date              not null,
    provider_id               uuid,
    appointment_type          appointment_type  not null,
    scheduled_count           integer,
    completed_count           integer,
    cancelled_count           integer,
    no_show_count             integer,
    treated_minutes           integer,
    available_minutes         integer,
    production                numeric(14,2),
    average_duration_minutes  numeric           generated always as (round(treated_minutes::numeric / nullif(completed_count, 0), 2)) stored,
    utilisation               numeric           generated always as (round(treated_minutes::numeric / nullif(available_minutes, 0), 4)) stored,
    created_at                timestamptz       not null default now(),
    updated_at                timestamptz       not null default now(),
    created_by                uuid,
    updated_by                uuid,

    constraint appointment_metrics_pkey                        primary key (clinic_id, id),
    constraint appointment_metrics_clinic_id_natural_key       unique nulls not distinct (clinic_id, provider_id, date, appointment_type),
    constraint appointment_metrics_counts_check                check (
        scheduled_count >= 0 and completed_count >= 0 and cancelled_count >= 0 and no_show_count >= 0),
    constraint appointment_metrics_minutes_check               check (treated_minutes >= 0 and available_minutes >= 0),
    constraint appointment_metrics_production_check            check (production <> 'NaN'),
    constraint appointment_metrics_clinic_id_fkey              foreign key (clinic_id) references clinics (id)
        deferrable initially immediate,
    constraint appointment_metrics_clinic_id_provider_id_fkey  foreign key (clinic_id, provider_id) references providers (clinic_id, id)
        deferrable initially immediate
);
comment on table  appointment_metrics                           is 'Appointments by day, provider and type.';
comment on column appointment_metrics.date                      is 'The day, in the zone of the clinic.';
comment on column appointment_metrics.provider_id               is 'Provider of the appointments; null for the clinic.';
comment on column appointment_metrics.appointment_type          is 'The reason for the visits.';
comment on column appointment_metrics.scheduled_count           is 'Visits that were scheduled; null if not stated.';
comment on column appointment_metrics.completed_count           is 'Visits that took place; null if not stated.';
comment on column appointment_metrics.cancelled_count           is 'Visits cancelled at least 24 hours before; null if not stated.';
comment on column appointment_metrics.no_show_count             is 'Visits cancelled less than 24 hours before, or missed; null if not stated.';
comment on column appointment_metrics.treated_minutes           is 'Total minutes of the completed visits; null if not stated.';
comment on column appointment_metrics.available_minutes         is 'Minutes that could have been booked; null if not stated.';
comment on column appointment_metrics.production                is 'Production of the completed visits in the clinic''s currency, signed; null if not stated.';
comment on column appointment_metrics.average_duration_minutes  is 'Derived: treated minutes ÷ completed visits; null if undefined.';
comment on column appointment_metrics.utilisation               is 'Derived: treated ÷ available minutes as ratio; null if undefined.';

create index appointment_metrics_clinic_id_date_idx on appointment_metrics (clinic_id, date);


create table call_metrics (
    clinic_id               uuid         not null,
    id                      uuid         not null default gen_random_uuid(),
    date                    date         not null,
    call_type               call_type    not null,
    staff_profile_id        uuid,
    total_count             integer,
    connected_count         integer,
    voicemail_count         integer,
    scheduled_count         integer,
    total_duration_seconds  integer,
    conversion              numeric      generated always as (round(scheduled_count::numeric / nullif(total_count, 0), 4)) stored,
    created_at              timestamptz  not null default now(),
    updated_at              timestamptz  not null default now(),
    created_by              uuid,
    updated_by              uuid,

    constraint call_metrics_pkey                             primary key (clinic_id, id),
    constraint call_metrics_clinic_id_natural_key            unique nulls not distinct (clinic_id, staff_profile_id, date, call_type),
    constraint call_metrics_counts_check                     check (
        total_count >= 0 and connected_count >= 0 and voicemail_count >= 0 and scheduled_count >= 0),
    constraint call_metrics_duration_check                   check (total_duration_seconds >= 0),
    constraint call_metrics_clinic_id_fkey                   foreign key (clinic_id) references clinics (id)
        deferrable initially immediate,
    constraint call_metrics_clinic_id_staff_profile_id_fkey  foreign key (clinic_id, staff_profile_id) references user_clinic_roles (clinic_id, profile_id)
        deferrable initially immediate
);
comment on table  call_metrics                         is 'Telephone calls by day, type and member of staff.';
comment on column call_metrics.date                    is 'The day, in the zone of the clinic.';
comment on column call_metrics.call_type               is 'The reason for the calls.';
comment on column call_metrics.staff_profile_id        is 'Member who made them; null for the office.';
comment on column call_metrics.total_count             is 'All calls; null if not stated.';
comment on column call_metrics.connected_count         is 'Calls in which a person answered; null if not stated.';
comment on column call_metrics.voicemail_count         is 'Calls that ended at a voicemail; null if not stated.';
comment on column call_metrics.scheduled_count         is 'Calls that ended with an appointment; null if not stated.';
comment on column call_metrics.total_duration_seconds  is 'Total seconds of all calls; null if not stated.';
comment on column call_metrics.conversion              is 'Derived: scheduled ÷ all calls as ratio; null if undefined.';

create index call_metrics_clinic_id_date_idx on call_metrics (clinic_id, date);


create table patient_metrics (
    clinic_id                    uuid           not null,
    id                           uuid           not null default gen_random_uuid(),
    date                         date           not null,
    opening_count                integer,
    active_count                 integer,
    new_count                    integer,
    reactivated_count            integer,
    lost_count                   integer,
    recare_due_count             integer,
    recare_scheduled_count       integer,
    treatment_presented_count    integer,
    treatment_accepted_count     integer,
    treatment_presented_amount   numeric(14,2),
    treatment_accepted_amount    numeric(14,2),
    production                   numeric(14,2),
    growth_count                 integer        generated always as (new_count + reactivated_count - lost_count) stored,
    retention                    numeric        generated always as (round((opening_count - lost_count)::numeric / nullif(opening_count, 0), 4)) stored,
    average_value                numeric        generated always as (round(production / nullif(active_count, 0), 2)) stored,
    recare_compliance            numeric        generated always as (round(recare_scheduled_count::numeric / nullif(recare_due_count, 0), 4)) stored,
    treatment_acceptance         numeric        generated always as (round(treatment_accepted_count::numeric / nullif(treatment_presented_count, 0), 4)) stored,
    treatment_amount_acceptance  numeric        generated always as (round(treatment_accepted_amount / nullif(treatment_presented_amount, 0), 4)) stored,
    created_at                   timestamptz    not null default now(),
    updated_at                   timestamptz    not null default now(),
    created_by                   uuid,
    updated_by                   uuid,

    constraint patient_metrics_pkey                primary key (clinic_id, id),
    constraint patient_metrics_clinic_id_date_key  unique (clinic_id, date),
    constraint patient_metrics_counts_check        check (
        opening_count >= 0 and active_count >= 0 and new_count >= 0 and reactivated_count >= 0 and lost_count >= 0
        and recare_due_count >= 0 and recare_scheduled_count >= 0
        and treatment_presented_count >= 0 and treatment_accepted_count >= 0),
    constraint patient_metrics_amounts_check       check (
        treatment_presented_amount <> 'NaN' and treatment_accepted_amount <> 'NaN' and production <> 'NaN'),
    constraint patient_metrics_clinic_id_fkey      foreign key (clinic_id) references clinics (id)
        deferrable initially immediate
);
comment on table  patient_metrics                              is 'Patients of a clinic by day; active are those with a completed visit within 18 months.';
comment on column patient_metrics.date                         is 'The day, in the zone of the clinic.';
comment on column patient_metrics.opening_count                is 'Active patients before the day; null if not stated.';
comment on column patient_metrics.active_count                 is 'Active patients at the end of the day; null if not stated.';
comment on column patient_metrics.new_count                    is 'Patients who came for the first time; null if not stated.';
comment on column patient_metrics.reactivated_count            is 'Patients who came again after more than 18 months; null if not stated.';
comment on column patient_metrics.lost_count                   is 'Patients whose last visit became older than 18 months, or who left; null if not stated.';
comment on column patient_metrics.recare_due_count             is 'Patients due for recare; null if not stated.';
comment on column patient_metrics.recare_scheduled_count       is 'Those among them with an appointment; null if not stated.';
comment on column patient_metrics.treatment_presented_count    is 'Patients who were offered treatment; null if not stated.';
comment on column patient_metrics.treatment_accepted_count     is 'Those among them who accepted; null if not stated.';
comment on column patient_metrics.treatment_presented_amount   is 'Amount of the treatment offered, in the clinic''s currency; null if not stated.';
comment on column patient_metrics.treatment_accepted_amount    is 'Amount of the treatment accepted, in the clinic''s currency; null if not stated.';
comment on column patient_metrics.production                   is 'Production of the day in the clinic''s currency, signed; null if not stated.';
comment on column patient_metrics.growth_count                 is 'Derived: new + reactivated − lost; null if one of them is not stated.';
comment on column patient_metrics.retention                    is 'Derived: (opening − lost) ÷ opening as ratio; null if undefined.';
comment on column patient_metrics.average_value                is 'Derived: production ÷ active patients, in the clinic''s currency; null if undefined.';
comment on column patient_metrics.recare_compliance            is 'Derived: scheduled ÷ due as ratio; null if undefined.';
comment on column patient_metrics.treatment_acceptance         is 'Derived: case acceptance by patients, accepted ÷ presented as ratio; null if undefined.';
comment on column patient_metrics.treatment_amount_acceptance  is 'Derived: case acceptance by amount, accepted ÷ presented as ratio; null if undefined.';
