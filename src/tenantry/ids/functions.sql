-- Old and new ids side by side: counters of the forms in use, and the trigger that sets old ids. Every statement can be run
-- again. The functions that look up ids are generated for each manifest: see tenantry/ids/functions.py.

-- name: counters
create table if not exists tenantry.id_counter (
    target_table text        not null,
    form         text        not null check (form in ('old', 'new')),
    accepted     boolean     not null default true,
    since        timestamptz not null default clock_timestamp(),
    uses         text        not null,
    times        text        not null,
    primary key (target_table, form)
);
comment on table tenantry.id_counter is 'Counters of the id forms that applications use, for the tables that [ids] both lists or has listed.';
comment on column tenantry.id_counter.accepted is 'The table still accepts both forms.';
comment on column tenantry.id_counter.uses is 'The sequence that counts: it takes no row lock, never waits, and also counts transactions that are rolled back.';
comment on column tenantry.id_counter.times is 'The sequence that holds the first and the last use, in seconds since 2020 (UTC): the upper and the lower 32 bits.';

-- name: note
create or replace function tenantry.note_id_use(target_table text, form text) returns void
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    counter regclass;
    clock   regclass;
    stored  bigint;
    present constant bigint := floor(extract(epoch from clock_timestamp()))::bigint - 1577836800;
begin
    if current_setting('transaction_read_only')::boolean then
        -- A read-only transaction cannot write, but the server counts scans of a sequence.
        case target_table || ' ' || form
{scans}
        else null;
        end case;
        return;
    end if;
    case target_table || ' ' || form
{counters}
    else return;
    end case;
    perform nextval(counter);
    stored := pg_sequence_last_value(clock);
    if stored is null then
        perform setval(clock, (present << 32) | present);
    elsif present - (stored & 4294967295) >= 10 then
        perform setval(clock, (stored & ~4294967295) | present);
    end if;
end
$$;
comment on function tenantry.note_id_use(text, text) is
    'Counts the use of an id of this form; the time of the last use is accurate to ten seconds. Never waits, and writes sequences only.';

-- name: uses
create or replace view tenantry.id_use as
select c.target_table, c.form, c.accepted, coalesce(pg_sequence_last_value(c.uses::regclass), 0) as uses,
       to_timestamp((pg_sequence_last_value(c.times::regclass) >> 32) + 1577836800) as first_use,
       to_timestamp((pg_sequence_last_value(c.times::regclass) & 4294967295) + 1577836800) as last_use,
       c.since, pg_stat_get_numscans(c.uses::regclass) as read_only_uses, c.uses as counter
  from tenantry.id_counter as c;
comment on view tenantry.id_use is
    'Uses of each id form: number, start of counting, first and last use. read_only_uses: in read-only transactions on this server since its statistics were reset.';

-- name: born
create or replace function tenantry.born_here() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    new.legacy_id := new.id::text;
    return new;
end
$$;
comment on function tenantry.born_here() is
    'Trigger for tables whose own triggers do not set an old id: gives a target-native row its own id as old id.';
revoke all on function tenantry.born_here() from public;
