-- The tables of the reverse direction. Every statement can be run again.

create table if not exists tenantry.kept (
    table_name  text        not null,
    legacy_id   text        not null,
    column_name text        not null default '',
    reason      text        not null,
    at          timestamptz not null default clock_timestamp()
);
-- Clients choose the length of ids; together with names they can be too long for a btree entry.
alter table tenantry.kept drop constraint if exists kept_pkey;
create unique index if not exists kept_cell_key on tenantry.kept (table_name, md5(legacy_id), column_name);
create index if not exists kept_legacy_hash on tenantry.kept using hash (legacy_id);
alter table tenantry.kept replica identity full;
comment on table tenantry.kept is 'Target-only rows and cells, which the source cannot represent. A row is removed from the list when both sides agree.';
comment on column tenantry.kept.column_name is 'The target column; empty for the whole row.';

create table if not exists tenantry.conflict (
    id         bigint generated always as identity primary key,
    at         timestamptz not null default clock_timestamp(),
    direction  text        not null check (direction in ('forward', 'reverse')),
    table_name text        not null,
    legacy_id  text        not null,
    source_key text        not null,
    winner     text        not null,
    loser      json        not null,
    reason     text        not null
);
alter table tenantry.conflict add column if not exists seen_at timestamptz;
drop index if exists tenantry.conflict_row_idx;
create index if not exists conflict_legacy_hash on tenantry.conflict using hash (legacy_id);
comment on column tenantry.conflict.seen_at is 'When the row was last refused for the same reason; the entry then has the latest values.';
comment on table tenantry.conflict is 'Changes that one side refused, or that both sides made: which side''s row won, and the values of the other.';
comment on column tenantry.conflict.winner is 'The side whose row won: source or target.';
comment on column tenantry.conflict.loser is 'The change that was not applied, without secrets; {"deleted": true} for a deletion.';

create table if not exists tenantry.stranger (
    table_name text not null,
    legacy_id  text not null,
    tenant     text not null
);
alter table tenantry.stranger add column if not exists source_key text;
alter table tenantry.stranger drop constraint if exists stranger_pkey;
create unique index if not exists stranger_row_key on tenantry.stranger (table_name, md5(legacy_id), tenant);
create index if not exists stranger_legacy_hash on tenantry.stranger using hash (legacy_id);
create index if not exists stranger_place_hash on tenantry.stranger using hash (source_key);
alter table tenantry.stranger replica identity full;
comment on table tenantry.stranger is 'Target rows whose source key belongs to a row of another tenant: they are target-only and listed in tenantry.conflict.';
comment on column tenantry.stranger.source_key is 'The source key that is taken; null if the row no longer has one.';

create table if not exists tenantry.tenant_move (
    table_name text not null,
    legacy_id  text not null,
    old_tenant text not null,
    tenant     text not null
);
create index if not exists tenant_move_hash on tenantry.tenant_move using hash (legacy_id);
alter table tenantry.tenant_move replica identity full;
comment on table tenantry.tenant_move is 'Target rows that an application moved to another tenant, until the source has the move: only these may replace a row of another tenant.';

create table if not exists tenantry.born_part (
    mapping    text not null,
    legacy_id  text not null,
    source_key text not null
);
alter table tenantry.born_part add column if not exists tenant text;
drop index if exists tenantry.born_part_key_idx;
alter table tenantry.born_part drop constraint if exists born_part_pkey;
create unique index if not exists born_part_row_key on tenantry.born_part (mapping, md5(legacy_id));
create index if not exists born_part_legacy_hash on tenantry.born_part using hash (legacy_id);
create index if not exists born_part_place_hash on tenantry.born_part using hash (source_key);
alter table tenantry.born_part replica identity full;
comment on column tenantry.born_part.tenant is 'The tenant of the row; null without a tenant.';
comment on table tenantry.born_part is 'Target-native rows of a part, and the source row that holds them: their own id is not an id of the source.';

create table if not exists tenantry.deleted_id (
    table_name text  not null,
    id         text  not null,
    tenant     text,
    old_id     jsonb not null
);
create unique index if not exists deleted_id_row_key on tenantry.deleted_id (table_name, md5(id));
create index if not exists deleted_id_hash on tenantry.deleted_id using hash (id);
alter table tenantry.deleted_id replica identity full;
comment on table tenantry.deleted_id is 'Ids of rows that were deleted while applications wrote the target, or are in quarantine, with their keys in the source, for values that name them. Only of tables whose ids occur in documents, lists, pairs and texts, or in references without a foreign key.';
comment on column tenantry.deleted_id.tenant is 'The tenant of the row; null without a tenant.';

create index if not exists merged_into_idx on tenantry.merged (mapping, into_key);

create or replace function tenantry.try_each(statement text, low bigint, high bigint) returns table (n bigint, code text, said text)
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    total bigint := 0;
    hit   bigint;
begin
    for place in low .. high - 1 loop
        begin
            execute statement using place;
            get diagnostics hit = row_count;
            total := total + hit;
        exception when others then
            -- Errors about locks, server resources and ended sessions are not the fault of a row.
            if left(sqlstate, 2) in ('40', '53', '55', '57', '58', 'F0') then
                raise;
            end if;
            n := place;
            code := sqlstate;
            said := sqlerrm;
            return next;
        end;
    end loop;
    n := null;
    code := null;
    said := total::text;
    return next;
end
$$;
comment on function tenantry.try_each is 'Runs a statement for each row of a round, by its number. Returns the refused rows with the reason, and last the number of rows written.';
revoke all on function tenantry.try_each(text, bigint, bigint) from public;

create or replace function tenantry.row_json(given record) returns json
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
declare
    made json;
begin
    made := to_json(given);
    if octet_length(made::text) < 4000000 then
        return made;
    end if;
    return (select json_object_agg(e.key, case when octet_length(e.value::text) < 10000 then e.value
                                               else to_json(left(e.value::text, 1000) || '…') end)
              from json_each(made) e);
exception when others then
    -- A text has at most 1 GB, and escapes make a value up to six times as long.
    return json_build_object('row', 'it is too large to be listed');
end
$$;
comment on function tenantry.row_json is 'A row for listings; values of very large rows are truncated.';
revoke all on function tenantry.row_json(record) from public;
