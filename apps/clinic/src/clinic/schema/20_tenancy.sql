-- Clinics (the tenants), people, providers, and who may do what in which clinic.

-- In every table that belongs to a clinic, clinic_id comes first in the primary key, in each unique constraint and in each
-- foreign key, so that no row can refer to another clinic. Foreign keys are deferrable and use NO ACTION, because RESTRICT
-- cannot wait for the commit.

create table clinics (
    id                 uuid           not null default gen_random_uuid(),
    legacy_id          text           not null,
    name               text           not null,
    location           text           not null,
    status             active_status  not null default 'active',
    time_zone          text           not null,
    registration_code  text,
    clinic_code        text,
    created_at         timestamptz    not null default now(),
    updated_at         timestamptz    not null default now(),
    created_by         uuid,
    updated_by         uuid,

    constraint clinics_pkey                   primary key (id),
    constraint clinics_legacy_id_key          unique (legacy_id),
    constraint clinics_registration_code_key  unique (registration_code),
    constraint clinics_clinic_code_key        unique (clinic_code),
    -- timezone() fails for a zone that the server does not know
    constraint clinics_time_zone_check        check (timezone(time_zone, timestamptz 'epoch') is not null)
);
comment on table  clinics                    is 'The tenants: one row for each clinic.';
comment on column clinics.id                 is 'The clinic; the value of clinic_id in every other table.';
comment on column clinics.name               is 'The clinic''s own name.';
comment on column clinics.location           is 'Town or address, as the office states it.';
comment on column clinics.status             is 'An inactive clinic keeps its data, but its members have no access.';
comment on column clinics.time_zone          is 'IANA name of the zone in which the days of this clinic begin and end.';
comment on column clinics.registration_code  is 'Code by which the group registered the clinic; null until it is set.';
comment on column clinics.clinic_code        is 'Short stable code used by spreadsheet syncs, so that a new id does not break them; null until the clinic sets it.';


create table profiles (
    id             uuid         not null default gen_random_uuid(),
    legacy_id      text         not null,
    auth_user_id   uuid,
    email          text         not null,
    name           text         not null,
    locale         text         not null default 'en-US',
    last_login_at  timestamptz,
    deleted_at     timestamptz,
    created_at     timestamptz  not null default now(),
    updated_at     timestamptz  not null default now(),
    created_by     uuid,
    updated_by     uuid,

    constraint profiles_pkey                primary key (id),
    constraint profiles_legacy_id_key       unique (legacy_id),
    constraint profiles_auth_user_id_key    unique (auth_user_id),
    constraint profiles_email_key           unique (email),
    constraint profiles_email_normal_check  check (email = lower(btrim(email))),
    constraint profiles_email_form_check    check (email ~ '^[^@[:space:]]+@[^@[:space:].]+([.][^@[:space:].]+)+$'),
    constraint profiles_auth_user_id_fkey   foreign key (auth_user_id) references auth.users (id)
        on delete set null deferrable initially immediate
);
comment on table  profiles                is 'People, with or without an account, and with any number of clinics.';
comment on column profiles.id             is 'The person; created_by, updated_by and memberships refer to it.';
comment on column profiles.auth_user_id   is 'The account with which the person signs in; null without one.';
comment on column profiles.email          is 'E-mail address in its normal form, lower-case and without surrounding blanks.';
comment on column profiles.name           is 'Name as shown to colleagues.';
comment on column profiles.locale         is 'BCP 47 tag that decides language and number format.';
comment on column profiles.last_login_at  is 'When the person last signed in; null if never.';
comment on column profiles.deleted_at     is 'When the person''s account was deleted; null if it was not. The profile stays for rows that refer to it.';


create table providers (
    clinic_id      uuid           not null,
    id             uuid           not null default gen_random_uuid(),
    legacy_id      text           not null,
    name           text           not null,
    provider_type  provider_type  not null,
    status         active_status  not null default 'active',
    provider_code  text,
    created_at     timestamptz    not null default now(),
    updated_at     timestamptz    not null default now(),
    created_by     uuid,
    updated_by     uuid,

    constraint providers_pkey                         primary key (clinic_id, id),
    constraint providers_clinic_id_legacy_id_key      unique (clinic_id, legacy_id),
    constraint providers_clinic_id_provider_code_key  unique (clinic_id, provider_code),
    constraint providers_clinic_id_fkey               foreign key (clinic_id) references clinics (id)
        deferrable initially immediate
);
comment on table  providers                is 'Dentists, hygienists and specialists of a clinic, whether or not they use the application.';
comment on column providers.name           is 'Name in the schedule.';
comment on column providers.provider_type  is 'Profession of the provider.';
comment on column providers.status         is 'An inactive provider keeps its figures and gets no new ones.';
comment on column providers.provider_code  is 'Short stable code used by spreadsheet syncs; null until the clinic sets it.';


create table user_clinic_roles (
    clinic_id    uuid         not null,
    id           uuid         not null default gen_random_uuid(),
    legacy_id    text         not null,
    profile_id   uuid         not null,
    role         clinic_role  not null,
    is_active    boolean      not null default true,
    provider_id  uuid,
    created_at   timestamptz  not null default now(),
    updated_at   timestamptz  not null default now(),
    created_by   uuid,
    updated_by   uuid,

    constraint user_clinic_roles_pkey                        primary key (clinic_id, id),
    constraint user_clinic_roles_clinic_id_legacy_id_key     unique (clinic_id, legacy_id),
    constraint user_clinic_roles_clinic_id_profile_id_key    unique (clinic_id, profile_id),
    constraint user_clinic_roles_clinic_id_fkey              foreign key (clinic_id) references clinics (id)
        deferrable initially immediate,
    constraint user_clinic_roles_profile_id_fkey             foreign key (profile_id) references profiles (id)
        deferrable initially immediate,
    constraint user_clinic_roles_clinic_id_provider_id_fkey  foreign key (clinic_id, provider_id) references providers (clinic_id, id)
        on delete set null (provider_id) deferrable initially immediate
);
comment on table  user_clinic_roles              is 'Memberships: which person may do what in which clinic, at most one role in each.';
comment on column user_clinic_roles.profile_id   is 'The member.';
comment on column user_clinic_roles.role         is 'What the member may do in this clinic; has no effect in any other clinic.';
comment on column user_clinic_roles.is_active    is 'False suspends the membership and keeps its dependent rows.';
comment on column user_clinic_roles.provider_id  is 'The provider that this member is; null for people who do not treat patients.';

create index user_clinic_roles_profile_id_idx            on user_clinic_roles (profile_id);
create index user_clinic_roles_clinic_id_provider_id_idx on user_clinic_roles (clinic_id, provider_id);


create table clinic_invitations (
    clinic_id            uuid         not null,
    id                   uuid         not null default gen_random_uuid(),
    email                text         not null,
    role                 clinic_role  not null,
    token_hash           bytea        not null,
    expires_at           timestamptz  not null default now() + interval '168 hours',
    accepted_at          timestamptz,
    accepted_profile_id  uuid,
    revoked_at           timestamptz,
    created_at           timestamptz  not null default now(),
    updated_at           timestamptz  not null default now(),
    created_by           uuid,
    updated_by           uuid,

    constraint clinic_invitations_pkey                      primary key (clinic_id, id),
    constraint clinic_invitations_clinic_id_token_hash_key  unique (clinic_id, token_hash),
    constraint clinic_invitations_email_normal_check        check (email = lower(btrim(email))),
    constraint clinic_invitations_email_form_check          check (email ~ '^[^@[:space:]]+@[^@[:space:].]+([.][^@[:space:].]+)+$'),
    constraint clinic_invitations_token_hash_check          check (octet_length(token_hash) = 32),
    constraint clinic_invitations_lifetime_check            check (expires_at > created_at and expires_at - created_at <= interval '168 hours'),
    constraint clinic_invitations_outcome_check             check (num_nonnulls(accepted_at, revoked_at) <= 1),
    constraint clinic_invitations_clinic_id_fkey            foreign key (clinic_id) references clinics (id)
        deferrable initially immediate,
    constraint clinic_invitations_accepted_profile_id_fkey  foreign key (accepted_profile_id) references profiles (id)
        on delete set null deferrable initially immediate
);
comment on table  clinic_invitations                      is 'Invitations to join a clinic, each valid for one person, once, for seven days.';
comment on column clinic_invitations.email                is 'The invited address, in its normal form; only this address may accept.';
comment on column clinic_invitations.role                 is 'Role that the membership gets on acceptance; chosen by the clinic, never by the invited person.';
comment on column clinic_invitations.token_hash           is 'SHA-256 of the token in the link; the token itself is not stored.';
comment on column clinic_invitations.expires_at           is 'End of validity, at most 168 hours after creation.';
comment on column clinic_invitations.accepted_at          is 'When the invitation was used; null if it was not.';
comment on column clinic_invitations.accepted_profile_id  is 'The person who used it.';
comment on column clinic_invitations.revoked_at           is 'When the clinic revoked the invitation; null if it did not.';

create index        clinic_invitations_accepted_profile_id_idx on clinic_invitations (accepted_profile_id);
create unique index clinic_invitations_open_key                on clinic_invitations (clinic_id, email)
    where accepted_at is null and revoked_at is null;
comment on index clinic_invitations_open_key is 'One open invitation for each address and clinic; an expired one is revoked before the next is sent.';


create table clinic_shares (
    clinic_id            uuid         not null,
    id                   uuid         not null default gen_random_uuid(),
    receiving_clinic_id  uuid         not null,
    kind                 share_kind   not null,
    since                timestamptz  not null default now(),
    until                timestamptz,
    accepted_at          timestamptz,
    created_at           timestamptz  not null default now(),
    updated_at           timestamptz  not null default now(),
    created_by           uuid,
    updated_by           uuid,

    constraint clinic_shares_pkey                      primary key (clinic_id, id),
    constraint clinic_shares_clinic_id_receiving_key   unique (clinic_id, receiving_clinic_id, kind, since),
    constraint clinic_shares_receiving_clinic_check    check (receiving_clinic_id <> clinic_id),
    constraint clinic_shares_period_check              check (until > since),
    constraint clinic_shares_clinic_id_fkey            foreign key (clinic_id) references clinics (id)
        deferrable initially immediate,
    constraint clinic_shares_receiving_clinic_id_fkey  foreign key (receiving_clinic_id) references clinics (id)
        on delete cascade deferrable initially immediate
);
comment on table  clinic_shares                      is 'Explicit shares between clinics of one group: data that the row''s clinic lets another clinic read.';
comment on column clinic_shares.receiving_clinic_id  is 'The clinic whose members may read.';
comment on column clinic_shares.kind                 is 'The kind of data that they may read.';
comment on column clinic_shares.since                is 'Start of the share.';
comment on column clinic_shares.until                is 'End of the share; null if open-ended.';
comment on column clinic_shares.accepted_at          is 'When an administrator of the receiving clinic accepted it, recorded by the service; before that it grants nothing.';

create index clinic_shares_receiving_clinic_id_idx on clinic_shares (receiving_clinic_id, kind);
