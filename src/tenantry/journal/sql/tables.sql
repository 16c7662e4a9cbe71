-- The journal: what a run did, and which rows it did not migrate. Every statement can be run again.

create schema if not exists tenantry;
comment on schema tenantry is 'Tenantry: the journal of the migration, the id map, and the functions that policies call.';
revoke all on schema tenantry from public;

create table if not exists tenantry.run (
    id              bigint generated always as identity primary key,
    name            text        not null,
    manifest_digest text        not null,
    manifest_path   text        not null,
    source_schema   text        not null,
    target_schema   text        not null,
    tool_version    text        not null,
    source_catalog  jsonb       not null,
    target_catalog  jsonb       not null,
    status          text        not null default 'running'
        check (status in ('running', 'interrupted', 'failed', 'ready', 'cut over', 'contracted')),
    direction       text        not null default 'forward' check (direction in ('forward', 'both', 'reverse')),
    migrator        text        not null default session_user,
    server          jsonb       not null default '{}',
    verified_at     timestamptz,
    unverified      boolean     not null default false,
    grace_until     timestamptz,
    phase           text        not null default 'expand',
    started_at      timestamptz not null default clock_timestamp(),
    finished_at     timestamptz,
    process         jsonb       not null default '{}',
    guards          text,
    subset          jsonb
);
comment on table tenantry.run is 'One migration of one manifest; it can be resumed until it is contracted or completely rolled back.';
comment on column tenantry.run.direction is 'Which side applications write: forward the source, reverse the target, both during the dual-write window after a cut-over.';
comment on column tenantry.run.migrator is 'The login of the runs, which distinguishes its writes from those of applications.';
comment on column tenantry.run.server is 'The server and database on which the run was last seen, to detect a restore or a promotion.';
comment on column tenantry.run.verified_at is 'When source and target were last compared completely and were equal.';
comment on column tenantry.run.unverified is 'Rows were replayed since then and not compared; the cut-over compares everything again first.';

comment on column tenantry.run.guards is 'Digest of the triggers that block other writers of the target, as Tenantry left them: tenantry.guards().';
comment on column tenantry.run.subset is 'For a run that began as a pilot: the condition, its state (trial: only these tenants; rest: all others too), how many tenants were chosen, and of how many.';

-- include: run_lock.sql

create table if not exists tenantry.only (
    tenant_key text primary key
);
comment on table tenantry.only is 'Source keys of the tenants of a pilot, chosen when it began; tenants that match the condition later are not included.';

create table if not exists tenantry.inside (
    mapping    text not null,
    source_key text not null,
    primary key (mapping, source_key)
);
comment on table tenantry.inside is 'Rows without a tenant that a pilot includes because rows of its tenants reference them, mostly people.';

create table if not exists tenantry.step (
    run_id      bigint      not null references tenantry.run (id),
    id          text        not null,
    position    integer     not null,
    phase       text        not null,
    status      text        not null default 'open' check (status in ('open', 'running', 'done', 'failed')),
    started_at  timestamptz,
    finished_at timestamptz,
    seconds     double precision,
    row_count   bigint,
    message     text,
    primary key (run_id, id)
);
comment on table tenantry.step is 'The steps of a run; one is done exactly when its transaction has committed.';

create table if not exists tenantry.chunk (
    run_id           bigint  not null references tenantry.run (id),
    mapping          text    not null,
    position         integer not null,
    low              text,
    high             text,
    status           text    not null default 'open' check (status in ('open', 'done')),
    source_rows      bigint,
    target_rows      bigint,
    quarantined_rows bigint,
    changed_cells    bigint,
    seconds          double precision,
    finished_at      timestamptz,
    primary key (run_id, mapping, position)
);
comment on table tenantry.chunk is 'Key ranges of the copy, low < key <= high; done in the same transaction that wrote their rows.';

create table if not exists tenantry.quarantine (
    id             bigint generated always as identity primary key,
    run_id         bigint      not null references tenantry.run (id),
    mapping        text        not null,
    source_table   text        not null,
    source_key     text        not null,
    original       json        not null,
    patch          jsonb       not null default '{}',
    problems       text        not null,
    reason         text        not null,
    column_name    text,
    detail         text,
    parent_mapping text,
    parent_table   text,
    parent_key     text,
    state          text        not null default 'open' check (state in ('open', 'readmitted')),
    created_at     timestamptz not null default clock_timestamp(),
    closed_at      timestamptz
);
-- A key may be as long as the source allows; together with a name it can be too long for a btree entry.
create unique index if not exists quarantine_open_row on tenantry.quarantine (mapping, md5(source_key)) where state = 'open';
create index if not exists quarantine_source_hash on tenantry.quarantine using hash (source_key);
create index if not exists quarantine_parent_hash on tenantry.quarantine using hash (parent_key);
comment on column tenantry.quarantine.problems is 'reason:name for each problem, separated by semicolons; a semicolon in a name is written \s, a backslash \b.';
comment on table tenantry.quarantine is 'Rows that could not be migrated: the whole original and the reason. For the migrator only: originals may contain secrets.';

create table if not exists tenantry.accepted (
    mapping    text not null,
    source_key text not null,
    primary key (mapping, source_key)
);
comment on table tenantry.accepted is 'Quarantined rows that do not stop the cut-over: they were in quarantine when the run was declared ready, or were accepted later.';

create table if not exists tenantry.merged (
    mapping      text  not null,
    source_table text  not null,
    source_key   text  not null,
    into_key     text  not null,
    reason       text  not null,
    original     json  not null,
    derived      json  not null,
    primary key (mapping, source_key)
);
comment on table tenantry.merged is 'Duplicates that were merged into a surviving row.';

create table if not exists tenantry.change (
    mapping      text  not null,
    source_table text  not null,
    source_key   text  not null,
    column_name  text  not null,
    original     json,
    carried      json,
    rule         text  not null
);
create index if not exists change_key_idx on tenantry.change (mapping, source_key);
comment on table tenantry.change is 'Cells that a treatment changed (defaults, corrections, dropped references), with their originals.';

create table if not exists tenantry.account_link (
    source_key text    primary key,
    account_id uuid,
    made       boolean not null,
    situation  text    not null,
    detail     text,
    flagged    boolean not null default false,
    before     jsonb
);
create index if not exists account_link_account_idx on tenantry.account_link (account_id);
comment on table tenantry.account_link is 'The decision for each user: the account that is linked or created, or none, and the reason.';
comment on column tenantry.account_link.made is 'True if the migration created the account, which a rollback deletes; false for an account that existed before.';
comment on column tenantry.account_link.before is 'The earlier app_metadata of an existing account that was made super admin.';

create table if not exists tenantry.account_made (
    account_id uuid primary key
);
comment on table tenantry.account_made is 'Accounts that the migration created, and that a rollback deletes.';

create table if not exists tenantry.account_file (
    source_key text primary key,
    account_id uuid not null
);
comment on table tenantry.account_file is 'Users and their accounts, from the file that [users] link names.';

create table if not exists tenantry.source_log (
    table_name text        not null,
    old_key    text,
    new_key    text,
    at         timestamptz not null default clock_timestamp()
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0,
        vacuum_truncate = off);
comment on table tenantry.source_log is 'Change queue: keys of source rows that applications changed and that are not replayed yet; an entry without a key is a truncated table. Without index and sequence a write costs as little as possible; entries are read as they become visible.';

create table if not exists tenantry.target_log (like tenantry.source_log including all) with (autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
comment on table tenantry.target_log is 'Change queue of the target from the cut-over on; keys are legacy ids.';

create table if not exists tenantry.sample (
    run_id      bigint      not null references tenantry.run (id) on delete cascade,
    at          timestamptz not null default clock_timestamp(),
    phase       text        not null,
    rows        bigint      not null default 0,
    lag_entries bigint      not null default 0,
    lag_seconds double precision not null default 0,
    log_bytes   bigint      not null default 0,
    wal_bytes   bigint      not null default 0,
    data        jsonb       not null default '{}'
);
create index if not exists sample_run_idx on tenantry.sample (run_id, at);
comment on table tenantry.sample is 'Measurements of a run about once a second: rows migrated since it began, entries not replayed yet and the age of the oldest, size of the change queue, WAL written by the server.';

create table if not exists tenantry.event (
    id      bigint generated always as identity primary key,
    run_id  bigint references tenantry.run (id),
    at      timestamptz not null default clock_timestamp(),
    code    text  not null,
    message text  not null,
    data    jsonb not null default '{}'
);
comment on table tenantry.event is 'Events of a run, for people to read.';

-- A publication of all tables refuses updates and deletes of a table without a key.
alter table tenantry.change replica identity full;
alter table tenantry.source_log replica identity full;
alter table tenantry.target_log replica identity full;
alter table tenantry.sample replica identity full;

create or replace function tenantry.settle_tables() returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    found  record;
    opened text[];
begin
    for found in
        select c.oid, c.oid::regclass::text as named from pg_class c
         where c.relnamespace = 'tenantry'::regnamespace and c.relkind in ('r', 'p')
           and (c.relrowsecurity or c.relforcerowsecurity)
           and not exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'tenantry_every_row')
         order by 2
    loop
        execute format('alter table %s disable row level security, no force row level security', found.named);
        if (select c.relrowsecurity from pg_class c where c.oid = found.oid) then
            execute format('create policy tenantry_every_row on %s using (true) with check (true)', found.named);
        end if;
        opened := opened || found.named;
    end loop;
    insert into tenantry.event (code, message)
    select 'row_security_off', format(
               'something switched row-level security on for %s, an event trigger most likely; it hides no rows any more', o.named)
      from unnest(opened) o (named);
end
$$;
comment on function tenantry.settle_tables is 'Disables row-level security on the tables of this schema, which grants protect. An event trigger may enable it for each new table; without policies it would hide the rows from the functions that policies call.';
revoke all on function tenantry.settle_tables() from public;

