-- What the way back remembers. Every statement can be run again.

create table if not exists tenantry.kept (
    table_name  text        not null,
    legacy_id   text        not null,
    column_name text        not null default '',
    reason      text        not null,
    at          timestamptz not null default clock_timestamp()
);
-- Ids may be as long as clients want them: too long, beside names, for an entry of a btree.
alter table tenantry.kept drop constraint if exists kept_pkey;
create unique index if not exists kept_cell_key on tenantry.kept (table_name, md5(legacy_id), column_name);
create index if not exists kept_legacy_hash on tenantry.kept using hash (legacy_id);
alter table tenantry.kept replica identity full;
comment on table tenantry.kept is 'Rows and cells of the target for which the source has no place: they are in the target only. A row leaves the list when both sides agree.';
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
comment on column tenantry.conflict.seen_at is 'When the row was last refused for the same reason: the line then says what it was last.';
comment on table tenantry.conflict is 'Changes that one side refused, or that both sides made: which side''s row stands, and what the other one said.';
comment on column tenantry.conflict.winner is 'Whose row stands: source or target.';
comment on column tenantry.conflict.loser is 'What did not come through, without secrets; {"deleted": true} for a deletion.';

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
comment on table tenantry.stranger is 'Rows of the target whose place in the source is that of a row of another tenant: they stay in the target only, and are listed in tenantry.conflict.';
comment on column tenantry.stranger.source_key is 'The place that is taken; null: the row has none any more.';

create table if not exists tenantry.tenant_move (
    table_name text not null,
    legacy_id  text not null,
    old_tenant text not null,
    tenant     text not null
);
create index if not exists tenant_move_hash on tenantry.tenant_move using hash (legacy_id);
alter table tenantry.tenant_move replica identity full;
comment on table tenantry.tenant_move is 'Rows of the target that an application moved to another tenant, until the source says so: only such a row may take the place of the row of another tenant.';

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
comment on column tenantry.born_part.tenant is 'Whose row it is; null without a tenant.';
comment on table tenantry.born_part is 'Rows of a part that were born in the target, and the source row in which they stand: their own id is none of the source''s.';

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
            -- Locks, the server's resources and what ends sessions are not for a row to answer for.
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
comment on function tenantry.try_each is 'A statement for each of the rows of a round by its number: which of them are refused, and why; at last how many it has written.';
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
    -- A text has 1 GB at most, and its escapes make a value six times as long.
    return json_build_object('row', 'it is too large to be listed');
end
$$;
comment on function tenantry.row_json is 'A row as it is listed: of one that is very large, the beginnings of its values.';
revoke all on function tenantry.row_json(record) from public;
