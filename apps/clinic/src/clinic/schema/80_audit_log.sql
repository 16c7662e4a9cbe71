-- The audit log. It only grows: every other change is refused, even for its owner.

create table audit_log (
    clinic_id         uuid          not null,
    id                uuid          not null default gen_random_uuid(),
    at                timestamptz   not null default now(),
    actor_profile_id  uuid,
    action            audit_action  not null,
    table_name        text          not null,
    row_id            uuid,
    changes           jsonb         not null default '{}',

    constraint audit_log_pkey            primary key (clinic_id, id),
    constraint audit_log_changes_check   check (jsonb_typeof(changes) = 'object'),
    constraint audit_log_clinic_id_fkey  foreign key (clinic_id) references clinics (id)
        deferrable initially immediate
);
comment on table  audit_log                   is 'Actions in a clinic, with person and time; append-only, read by the admins of that clinic.';
comment on column audit_log.clinic_id         is 'The clinic of the action.';
comment on column audit_log.at                is 'When the transaction of the action began.';
comment on column audit_log.actor_profile_id  is 'The profile of the person, without a foreign key so that history outlives a deleted person; null for the service.';
comment on column audit_log.action            is 'The action.';
comment on column audit_log.table_name        is 'Table of the affected row.';
comment on column audit_log.row_id            is 'The affected row, without a foreign key because it may be deleted; null for actions on the clinic as a whole.';
comment on column audit_log.changes           is 'Changed columns with old and new values; never tokens or other secrets.';

create index audit_log_clinic_id_at_idx     on audit_log (clinic_id, at);
create index audit_log_clinic_id_row_id_idx on audit_log (clinic_id, table_name, row_id);


create function refuse_change() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception '% on %.% is refused', tg_op, tg_table_schema, tg_table_name
        using errcode = 'insufficient_privilege',
              detail  = 'The table is append-only.',
              hint    = 'Add an entry that corrects the earlier one.';
end
$$;
comment on function refuse_change() is 'Trigger that refuses the statement; keeps a table append-only.';

create trigger refuse_change before update or delete or truncate on audit_log for each statement execute function refuse_change();

-- also if ordinary triggers are disabled (session_replication_role = replica)
alter table audit_log enable always trigger refuse_change;
