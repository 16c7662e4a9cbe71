-- The dual-write window: what it changes on both sides for its time, and how that is taken back. Every statement can be run again.

alter table tenantry.source_log add column if not exists image json, add column if not exists was json;
alter table tenantry.target_log add column if not exists image json, add column if not exists was json;
comment on column tenantry.source_log.image is 'During the dual-write window: the row as it was written. It may hold secrets.';
comment on column tenantry.source_log.was is 'During the dual-write window, for an update by a trigger: the row before it.';

alter table tenantry.conflict add column if not exists stands jsonb, add column if not exists changed_at timestamptz;
comment on column tenantry.conflict.stands is 'The row that stands, as it was when the line was written, without secrets.';
comment on column tenantry.conflict.changed_at is 'When the change that did not come through was made.';

create table if not exists tenantry.window_change (
    position     integer generated always as identity primary key,
    relation     text,
    trigger_name text,
    definition   text,
    undo         text not null
);
comment on table tenantry.window_change is 'What the dual-write window has changed for its time, and the SQL that takes each back.';
comment on column tenantry.window_change.definition is 'Of a trigger that leaves Tenantry''s own writes alone meanwhile: its own definition.';

create or replace function tenantry.close_window() returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    found record;
begin
    for found in select w.undo from tenantry.window_change w order by w.position desc loop
        execute found.undo;
    end loop;
    delete from tenantry.window_change;
end
$$;
comment on function tenantry.close_window is 'Everything that the dual-write window has changed, back to what it was.';
revoke all on function tenantry.close_window() from public;

create or replace function tenantry.interleave(sequences text[], step bigint, back bigint[]) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    stride constant bigint := step * cardinality(sequences);
    furthest bigint;
    reached bigint;
begin
    -- First the increments: from here on nobody draws until the transaction ends, and what sessions have cached is void.
    for i in 1 .. cardinality(sequences) loop
        execute format('alter sequence %s increment by %s', sequences[i], coalesce(back[i], stride));
    end loop;
    for i in 1 .. cardinality(sequences) loop
        execute format('select last_value from %s', sequences[i]) into reached;
        furthest := case when furthest is null or (reached > furthest) = (step > 0) then reached else furthest end;
    end loop;
    for i in 1 .. cardinality(sequences) loop
        execute format('alter sequence %s restart with %s', sequences[i], furthest + coalesce(back[i], step * i));
    end loop;
end
$$;
comment on function tenantry.interleave is 'Have several sequences draw in turns, behind the furthest of them, so that none gives out what another one does; with `back`: each goes on by its own increment behind the furthest.';
revoke all on function tenantry.interleave(text[], bigint, bigint[]) from public;

create or replace function tenantry.as_listed(image json, hidden text[]) returns jsonb
    language plpgsql immutable
    set search_path = pg_catalog, pg_temp
as $$
begin
    if image is null then
        return '{"deleted": true}';
    end if;
    return image::jsonb - hidden;
exception when others then
    -- What json may hold and jsonb may not, as \u0000.
    return jsonb_build_object('row', 'it holds what jsonb cannot; md5 ' || md5(image::text));
end
$$;
comment on function tenantry.as_listed is 'A row for a list that people read, without its secrets.';
revoke all on function tenantry.as_listed(json, text[]) from public;
