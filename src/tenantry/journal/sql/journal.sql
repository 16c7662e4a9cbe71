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

create or replace function tenantry.json_ids(document jsonb, paths text[], ids jsonb[], drop_unknown boolean)
    returns jsonb
    language plpgsql immutable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
begin
    for i in 1 .. coalesce(cardinality(paths), 0) loop
        document := tenantry.json_ids_at(
            document, string_to_array(ltrim(replace(ltrim(paths[i], '$'), '[*]', '.[]'), '.'), '.'), coalesce(ids[i], '{}'), drop_unknown, false);
    end loop;
    return document;
end
$$;
comment on function tenantry.json_ids is 'Translates old ids in a document into new ones at the given paths; unknown ids are kept, or dropped with their array element.';

create or replace function tenantry.json_ids_at(node jsonb, path text[], ids jsonb, drop_unknown boolean, in_array boolean)
    returns jsonb
    language plpgsql immutable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
declare
    child jsonb;
begin
    if node is null or jsonb_typeof(node) = 'null' then
        return node;
    end if;
    if coalesce(cardinality(path), 0) = 0 then
        if jsonb_typeof(node) not in ('string', 'number') then
            return node;
        elsif ids ? (node #>> '{}') then
            return ids -> (node #>> '{}');
        end if;
        return case when not drop_unknown then node end;
    end if;
    if path[1] = '**' then
        node := tenantry.json_ids_at(node, path[2:], ids, drop_unknown, in_array);
        return case jsonb_typeof(node)
            when 'object' then coalesce(
                (select jsonb_object_agg(m.key, m.made)
                   from (select e.key, tenantry.json_ids_at(e.value, path, ids, drop_unknown, false) as made from jsonb_each(node) e) m
                  where m.made is not null),
                '{}')
            when 'array' then coalesce(
                (select jsonb_agg(e.made order by e.position)
                   from (select tenantry.json_ids_at(element, path, ids, drop_unknown, true) as made, position
                           from jsonb_array_elements(node) with ordinality as a (element, position)) e
                  where e.made is not null),
                '[]')
            else node end;
    end if;
    if path[1] = '*' then
        if jsonb_typeof(node) <> 'object' then
            return node;
        elsif cardinality(path) = 1 then
            -- The keys are the ids. If two of them become one, such as ids of merged rows, the second key is not replaced: no value is lost.
            return coalesce(
                (select jsonb_object_agg(case when m.place = 1 then m.new else m.key end, m.value)
                   from (select e.key, e.value, coalesce(ids ->> e.key, e.key) as new,
                                row_number() over (partition by coalesce(ids ->> e.key, e.key) order by e.key) as place
                           from jsonb_each(node) e
                          where ids ? e.key or not drop_unknown) m),
                '{}');
        end if;
        return coalesce(
            (select jsonb_object_agg(m.key, m.made)
               from (select e.key, tenantry.json_ids_at(e.value, path[2:], ids, drop_unknown, false) as made from jsonb_each(node) e) m
              where m.made is not null),
            '{}');
    end if;
    if path[1] = '[]' then
        if jsonb_typeof(node) <> 'array' then
            return node;
        end if;
        return coalesce(
            (select jsonb_agg(e.made order by e.position)
               from (select tenantry.json_ids_at(element, path[2:], ids, drop_unknown, true) as made, position
                       from jsonb_array_elements(node) with ordinality as a (element, position)) e
              where e.made is not null),
            '[]');
    end if;
    if jsonb_typeof(node) <> 'object' or not node ? path[1] then
        return node;
    end if;
    child := tenantry.json_ids_at(node -> path[1], path[2:], ids, drop_unknown, in_array);
    if child is not null then
        return jsonb_set(node, array[path[1]], child);
    end if;
    return case when not in_array then node - path[1] end;
end
$$;
comment on function tenantry.json_ids_at is 'One path of tenantry.json_ids; null means that the array element is dropped.';

revoke all on function tenantry.json_ids(jsonb, text[], jsonb[], boolean) from public;
revoke all on function tenantry.json_ids_at(jsonb, text[], jsonb, boolean, boolean) from public;

create or replace function tenantry.readable(value text, type text) returns boolean
    language plpgsql stable parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('select %L::%s', value, type);
    return true;
exception when others then
    return false;
end
$$;
comment on function tenantry.readable is 'Whether a text is valid input of a type; PostgreSQL 16 and later have pg_input_is_valid.';
revoke all on function tenantry.readable(text, text) from public;

do $$
begin
    if to_regprocedure('tenantry.direction()') is null then
        create function tenantry.direction() returns text
            language sql stable set search_path = pg_catalog, pg_temp return 'forward';
    end if;
end
$$;
comment on function tenantry.direction() is 'The direction of the run: which side applications write. Fences call it. The transaction of a switchover replaces the function, so that no snapshot shows an older direction.';
revoke all on function tenantry.direction() from public;

create or replace function tenantry.guards(target_schema text) returns text
    language sql stable
    set search_path = pg_catalog, pg_temp
return (select md5(coalesce(string_agg(concat_ws(' ', t.oid, t.xmin, t.tgenabled), ',' order by t.oid), ''))
          from pg_trigger t join pg_class c on c.oid = t.tgrelid
         where c.relnamespace = to_regnamespace(quote_ident(guards.target_schema))
           and t.tgname ~ '^tenantry_(capture|fence)(_truncate|_moved)?$');
comment on function tenantry.guards is 'A digest of the triggers that block other writers of the target. It changes if a trigger was disabled, even if it was enabled again.';
revoke all on function tenantry.guards(text) from public;

create or replace function tenantry.sets_off_accounts(stack text) returns boolean
    language sql stable
    set search_path = pg_catalog, pg_temp
return exists (select from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_proc p on p.oid = t.tgfoid
                where c.relnamespace = to_regnamespace('auth') and not t.tgisinternal
                  and (position(quote_ident(p.proname) || '(' in sets_off_accounts.stack) > 0
                       or position('"' || p.proname || '"' in sets_off_accounts.stack) > 0));
comment on function tenantry.sets_off_accounts is 'Whether the call stack shows that a trigger on the accounts runs the statement.';
revoke all on function tenantry.sets_off_accounts(text) from public;

create or replace function tenantry.refuse_write() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    passes boolean := tenantry.direction() = 'both'
        or tenantry.direction() = case tg_argv[0] when 'source' then 'forward' else 'reverse' end;
    stack  text;
begin
    if not passes and pg_trigger_depth() > 1 and tg_level = 'ROW' then
        get diagnostics stack = pg_context;
        -- Writes of a trigger on the accounts are skipped: people keep signing up, and the active side has a trigger of its own.
        if tenantry.sets_off_accounts(stack) then
            return null;
        end if;
        -- The action of a foreign key after its parent, such as an account, was deleted; that deletion was allowed.
        passes := session_user = tg_argv[1]
            or split_part(stack, E'\n', 2) ~ '(DELETE FROM|UPDATE) (ONLY )?"[^"]+"[.]"[^"]+" .*[$][0-9]+ OPERATOR[(]';
    end if;
    if passes then
        return case when tg_level = 'STATEMENT' then null when tg_op = 'DELETE' then old else new end;
    end if;
    if tg_argv[0] = 'source' then
        raise exception 'table %.% is read-only: its data has moved to %', tg_table_schema, tg_table_name, tg_argv[2]
            using errcode = 'read_only_sql_transaction',
                  hint = 'This application still writes the old schema. Point it at the new one; tenantry status tells when it was cut over.';
    end if;
    raise exception 'table %.% is read-only: it is filled from % until the cut-over', tg_table_schema, tg_table_name, tg_argv[2]
        using errcode = 'read_only_sql_transaction',
              detail = format('Until then only %I writes it, the login of the runs.', tg_argv[1]),
              hint = 'Applications write the old schema now; what is written here would be lost. Write there, or run tenantry cutover first.';
end
$$;
comment on function tenantry.refuse_write is 'The fence on the side that applications do not write. Arguments: that side, the login of the runs, the tables that hold the data.';
revoke all on function tenantry.refuse_write() from public;

create or replace function tenantry.leave_out() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    stack text;
begin
    get diagnostics stack = pg_context;
    return case when tenantry.sets_off_accounts(stack) then null when tg_op = 'DELETE' then old else new end;
end
$$;
comment on function tenantry.leave_out is 'Trigger of the source. Accounts that a migration creates fire the triggers of auth.users; this trigger skips what those would write.';
revoke all on function tenantry.leave_out() from public;

create table if not exists tenantry.sleeping (
    relation     text   not null,
    trigger_name text   not null,
    state        "char" not null,
    primary key (relation, trigger_name)
);
comment on table tenantry.sleeping is 'Application triggers on the source that are disabled while the source follows the target, with their earlier state.';

create or replace function tenantry.sleep_triggers(tables text[]) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    found record;
begin
    for found in
        select c.oid::regclass::text as relation, t.tgname::text as trigger_name, t.tgenabled as state
          from unnest(tables) n (name)
         cross join lateral (
               with recursive below (id) as (
                   select n.name::regclass::oid union select h.inhrelid from below b join pg_inherits h on h.inhparent = b.id)
               select id from below) r
          join pg_class c on c.oid = r.id
          join pg_trigger t on t.tgrelid = c.oid
         where not t.tgisinternal and t.tgenabled <> 'D' and t.tgname !~ '^tenantry_((capture|fence)(_truncate)?|guard)$'
         order by 1, 2
    loop
        insert into tenantry.sleeping values (found.relation, found.trigger_name, found.state) on conflict do nothing;
        execute format('alter table only %s disable trigger %I', found.relation, found.trigger_name);
    end loop;
end
$$;
comment on function tenantry.sleep_triggers is 'Disables the application''s triggers on the source: rows replayed into it are final, so no trigger may change them or send notifications about them again.';
revoke all on function tenantry.sleep_triggers(text[]) from public;

create or replace function tenantry.wake_triggers() returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    found record;
begin
    for found in
        select s.* from tenantry.sleeping s
          join pg_trigger t on t.tgrelid = to_regclass(s.relation) and t.tgname = s.trigger_name
         order by 1, 2
    loop
        execute format('alter table only %s enable%s trigger %I', found.relation,
                       case found.state when 'A' then ' always' when 'R' then ' replica' else '' end, found.trigger_name);
    end loop;
    delete from tenantry.sleeping;
end
$$;
comment on function tenantry.wake_triggers is 'Restores the earlier state of each source trigger when applications write the source again.';
revoke all on function tenantry.wake_triggers() from public;

create table if not exists tenantry.sleeping_rule (
    relation  text   not null,
    rule_name text   not null,
    state     "char" not null,
    primary key (relation, rule_name)
);
comment on table tenantry.sleeping_rule is 'Rewrite rules of tables that Tenantry writes and the application does not; they are disabled meanwhile. Stores their earlier state.';

create or replace function tenantry.sleep_rules(tables text[]) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    found record;
begin
    for found in
        select c.oid::regclass::text as relation, r.rulename::text as rule_name, r.ev_enabled as state
          from unnest(tables) n (name)
         cross join lateral (select n.name::regclass::oid union select p.relid::oid from pg_partition_tree(n.name::regclass) p) t (id)
          join pg_class c on c.oid = t.id
          join pg_rewrite r on r.ev_class = c.oid
         where r.ev_enabled <> 'D' and r.ev_type <> '1'
         order by 1, 2
    loop
        insert into tenantry.sleeping_rule values (found.relation, found.rule_name, found.state) on conflict do nothing;
        execute format('alter table only %s disable rule %I', found.relation, found.rule_name);
    end loop;
end
$$;
comment on function tenantry.sleep_rules is 'Disables rewrite rules: an INSTEAD rule would prevent replay from writing rows, and the server does not support RETURNING with it.';
revoke all on function tenantry.sleep_rules(text[]) from public;

create or replace function tenantry.wake_rules(tables text[]) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    found record;
begin
    for found in
        select s.* from tenantry.sleeping_rule s
          join pg_rewrite r on r.ev_class = to_regclass(s.relation) and r.rulename = s.rule_name
         where to_regclass(s.relation) in
               (select t.id from unnest(tables) n (name)
                 cross join lateral (select n.name::regclass::oid union select p.relid::oid from pg_partition_tree(n.name::regclass) p) t (id))
         order by 1, 2
    loop
        execute format('alter table only %s enable%s rule %I', found.relation,
                       case found.state when 'A' then ' always' when 'R' then ' replica' else '' end, found.rule_name);
        delete from tenantry.sleeping_rule s where s.relation = found.relation and s.rule_name = found.rule_name;
    end loop;
end
$$;
comment on function tenantry.wake_rules is 'Restores the earlier state of each rule when applications write these tables.';
revoke all on function tenantry.wake_rules(text[]) from public;

create or replace function tenantry.capture_target() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    before text;
    after  text;
begin
    -- A renamed column must not make writes fail: if the key cannot be read, the entry is for the whole table.
    begin
        if tg_op in ('UPDATE', 'DELETE') then
            before := old.legacy_id;
        end if;
        if tg_op in ('INSERT', 'UPDATE') then
            after := new.legacy_id;
        end if;
    exception when undefined_column then
        before := null;
        after := null;
    end;
    insert into tenantry.target_log (table_name, old_key, new_key) values (tg_argv[0], before, after);
    return null;
end
$$;
comment on function tenantry.capture_target is 'Records the keys of target rows that applications change, from the cut-over on.';
revoke all on function tenantry.capture_target() from public;

create or replace function tenantry.capture_move() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('insert into tenantry.tenant_move (table_name, legacy_id, old_tenant, tenant) values ($3, ($2).legacy_id, ($1).%1$I::text, ($2).%1$I::text)', tg_argv[1])
        using old, new, tg_argv[0];
    return null;
end
$$;
comment on function tenantry.capture_move is 'Records which target rows applications move to another tenant; a new row with the id of another tenant''s row is not a move.';
revoke all on function tenantry.capture_move() from public;
