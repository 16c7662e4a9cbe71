-- The dual-write window: what it changes on both sides meanwhile, and how that is undone. Every statement can be run again.

alter table tenantry.source_log add column if not exists image json, add column if not exists was json;
alter table tenantry.target_log add column if not exists image json, add column if not exists was json;
comment on column tenantry.source_log.image is 'During the dual-write window: the row as written. It may contain secrets.';
comment on column tenantry.source_log.was is 'During the dual-write window, for an update by a trigger: the row before the update.';

alter table tenantry.conflict add column if not exists stands jsonb, add column if not exists changed_at timestamptz;
comment on column tenantry.conflict.stands is 'The row that won, as it was when the entry was written, without secrets.';
comment on column tenantry.conflict.changed_at is 'When the change that was not applied was made.';

create table if not exists tenantry.window_change (
    position     integer generated always as identity primary key,
    relation     text,
    trigger_name text,
    definition   text,
    undo         text not null
);
comment on table tenantry.window_change is 'What the dual-write window has changed temporarily, and the SQL that undoes each change.';
comment on column tenantry.window_change.definition is 'For a trigger that ignores Tenantry''s own writes meanwhile: its original definition.';

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
comment on function tenantry.close_window is 'Undoes everything that the dual-write window has changed.';
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
    -- First the increments: from now on no session can draw numbers until the transaction ends, and cached numbers are void.
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
comment on function tenantry.interleave is 'Interleaves several sequences, starting after the largest value of all, so that no two return the same number; with `back` each continues with its own increment after the largest value.';
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
    -- Values that json can hold and jsonb cannot, such as \u0000.
    return jsonb_build_object('row', 'it holds what jsonb cannot; md5 ' || md5(image::text));
end
$$;
comment on function tenantry.as_listed is 'A row for a list that people read, without its secrets.';
revoke all on function tenantry.as_listed(json, text[]) from public;
