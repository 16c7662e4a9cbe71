-- What the way back remembers. Every statement can be run again.

create table if not exists tenantry.kept (
    table_name  text        not null,
    legacy_id   text        not null,
    column_name text        not null default '',
    reason      text        not null,
    at          timestamptz not null default clock_timestamp(),
    primary key (table_name, legacy_id, column_name)
);
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
create index if not exists conflict_row_idx on tenantry.conflict (table_name, legacy_id);
comment on table tenantry.conflict is 'Changes that one side refused, or that both sides made: which side''s row stands, and what the other one said.';
comment on column tenantry.conflict.winner is 'Whose row stands: source or target.';
comment on column tenantry.conflict.loser is 'What did not come through, without secrets; {"deleted": true} for a deletion.';

create table if not exists tenantry.stranger (
    table_name text not null,
    legacy_id  text not null,
    tenant     text not null,
    primary key (table_name, legacy_id, tenant)
);
-- The key may be as long as a client wants it.
alter table tenantry.stranger add column if not exists source_key text;
create index if not exists stranger_key_idx on tenantry.stranger (md5(source_key));
comment on table tenantry.stranger is 'Rows of the target whose place in the source is that of a row of another tenant: they stay in the target only, and are listed in tenantry.conflict.';
comment on column tenantry.stranger.source_key is 'The place that is taken; null: the row has none any more.';

create table if not exists tenantry.tenant_move (
    table_name text not null,
    legacy_id  text not null,
    old_tenant text not null,
    tenant     text not null
);
create index if not exists tenant_move_idx on tenantry.tenant_move (md5(legacy_id));
comment on table tenantry.tenant_move is 'Rows of the target that an application moved to another tenant, until the source says so: only such a row may take the place of the row of another tenant.';

create table if not exists tenantry.born_part (
    mapping    text not null,
    legacy_id  text not null,
    source_key text not null,
    primary key (mapping, legacy_id)
);
alter table tenantry.born_part add column if not exists tenant text;
drop index if exists tenantry.born_part_key_idx;
create index if not exists born_part_place_idx on tenantry.born_part (md5(source_key));
comment on column tenantry.born_part.tenant is 'Whose row it is; null without a tenant.';
comment on table tenantry.born_part is 'Rows of a part that were born in the target, and the source row in which they stand: their own id is none of the source''s.';

create index if not exists merged_into_idx on tenantry.merged (mapping, into_key);
