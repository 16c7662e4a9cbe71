"""Capture: triggers that record the keys of changed rows, and fences that block writes to the inactive side."""

from __future__ import annotations

from collections.abc import Iterable

from tenantry.catalog import Catalog, Table
from tenantry.catalog.environment import Environment
from tenantry.derivation.ids import key_sql
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Project
from tenantry.mapping.values.type_names import is_text
from tenantry.postgres import ident, literal, short_name

CAPTURE, FENCE, GUARD = "tenantry_capture", "tenantry_fence", "tenantry_guard"


OURS = (CAPTURE, f"{CAPTURE}_truncate", f"{CAPTURE}_moved", FENCE, f"{FENCE}_truncate", GUARD)
"""The names of Tenantry's triggers, which a schema comparison ignores."""


DERIVED = "case when pg_trigger_depth() > 1 then row_to_json(old) end"
"""In a trigger that records an update: the row before it, if another trigger made the update."""


# Types whose text does not depend on session settings.
_STEADY = {"bigint", "boolean", "character varying", "integer", "smallint", "text", "uuid"}


def leaves(project: Project, table: Table) -> list[str]:
    """Return the quoted names of the tables that hold a source table's rows."""
    return _leaves(project.source, table)


def source_fence(project: Project, *, on: bool) -> list[str]:
    """Block or allow writes of applications to the source."""
    return [
        _switch(leaf, on, FENCE, f"{FENCE}_truncate")
        for table in project.source_tables
        for leaf in leaves(project, table)
    ]


def target_fence(project: Project, *, on: bool) -> list[str]:
    """Block or allow writes of applications to the target, and record the state of its triggers."""
    return [*_on_target(project, FENCE, on=on), f"update {JOURNAL}.run set guards = {guards_sql(project)}"]


def guards_sql(project: Project) -> str:
    """Return SQL of a digest of Tenantry's triggers on the target; disabling one and enabling it again changes the digest."""
    return f"{JOURNAL}.guards({literal(project.target.schema)})"


def direction_sql(direction: str) -> str:
    """Set, for every fence, the side that applications write: forward the source, reverse the target, both."""
    return (
        f"create or replace function {JOURNAL}.direction() returns text language sql stable"
        f" set search_path = pg_catalog, pg_temp return {literal(direction)}"
    )


def source_triggers(project: Project, *, on: bool) -> list[str]:
    """Disable or enable the application's own triggers and rewrite rules on the source: off while only Tenantry writes it."""
    names = ", ".join(literal(ident(project.source.schema, table.name)) for table in project.source_tables)
    if on:
        return [f"select {JOURNAL}.wake_rules(array[{names}])", f"select {JOURNAL}.wake_triggers()"]
    return [f"select {JOURNAL}.sleep_triggers(array[{names}])", f"select {JOURNAL}.sleep_rules(array[{names}])"]


def source_capture(project: Project, *, on: bool) -> list[str]:
    """Start or stop recording changes of the source."""
    state = "enable always" if on else "disable"
    return [
        f"alter table {leaf} {state} trigger {CAPTURE}, {state} trigger {CAPTURE}_truncate"
        for table in project.source_tables
        for leaf in leaves(project, table)
    ]


def target_capture(project: Project, *, on: bool) -> list[str]:
    """Start or stop recording changes of the target."""
    return _on_target(project, CAPTURE, on=on)


def target_triggers(project: Project, login: str) -> tuple[list[str], list[str]]:
    """Return the statements that create the target's triggers, enabled (the fence, and capture), and those that drop them."""
    made, dropped = [], []
    for table in fed_tables(project):
        name = ident(table.schema, table.name)
        homes = ", ".join(ident(project.source.schema, each.source.name) for each in project.by_target[table.name])
        noted = f"execute function {JOURNAL}.capture_target({literal(table.name)})"
        others = f"when (session_user <> {literal(login)})"
        fenced = _refused("target", login, homes)
        # Accounts that the migrator creates also fire triggers, whose writes are not its own.
        nested = f"when (session_user <> {literal(login)} or pg_trigger_depth() > 0)"
        made += [
            f"create or replace trigger {CAPTURE} after insert or update or delete on {name} for each row {others} {noted}",
            f"create or replace trigger {FENCE} before insert or update or delete on {name} for each row {nested} {fenced}",
        ]
        dropped += [f"drop trigger if exists {trigger} on {name}" for trigger in (CAPTURE, FENCE)]
        if project.scoped(table.name):
            tenant = project.manifest.tenant.column
            made.append(
                f"create or replace trigger {CAPTURE}_moved after update on {name} for each row"
                f" when (session_user <> {literal(login)} and old.{ident(tenant)} is distinct from new.{ident(tenant)})"
                f" execute function {JOURNAL}.capture_move({literal(table.name)}, {literal(tenant)})"
            )
            dropped.append(f"drop trigger if exists {CAPTURE}_moved on {name}")
        for part in [name, *(leaf for leaf in _leaves(project.target, table) if leaf != name)]:
            made += [
                f"create or replace trigger {CAPTURE}_truncate after truncate on {part} for each statement {others} {noted}",
                f"create or replace trigger {FENCE}_truncate before truncate on {part} for each statement {others} {fenced}",
            ]
            dropped += [f"drop trigger if exists {trigger}_truncate on {part}" for trigger in (CAPTURE, FENCE)]
    return [*made, *target_capture(project, on=True), *target_fence(project, on=True)], dropped


def fed_tables(project: Project) -> list[Table]:
    """Return the target tables that a source feeds, each once."""
    names = dict.fromkeys(mapping.target.name for mapping in project.mappings)
    return [table for name in names if (table := project.target.table(name)) is not None]


def _on_target(project: Project, trigger: str, *, on: bool) -> list[str]:
    found = []
    for table in fed_tables(project):
        name = ident(table.schema, table.name)
        moved = [f"{CAPTURE}_moved"] if trigger == CAPTURE and project.scoped(table.name) else []
        found.append(_switch(name, on, trigger, f"{trigger}_truncate", *moved))
        # Partitions inherit row triggers of a partitioned table, but not TRUNCATE triggers.
        found += [_switch(leaf, on, f"{trigger}_truncate") for leaf in _leaves(project.target, table) if leaf != name]
    return found


def _switch(table: str, on: bool, *triggers: str) -> str:
    state = "enable always" if on else "disable"
    return f"alter table {table} {', '.join(f'{state} trigger {trigger}' for trigger in triggers)}"


def _refused(side: str, login: str, homes: str) -> str:
    return f"execute function {JOURNAL}.refuse_write({literal(side)}, {literal(login)}, {literal(homes)})"


def _leaves(catalog: Catalog, table: Table) -> list[str]:
    there = catalog.table(table.name) or table
    return [ident(each.schema, each.name) for each in there.holding]


def capture_function(table: Table) -> str:
    # Cannot collide with capture_target(): no table name yields it.
    return ident(JOURNAL, short_name("capture_of", table.name))


def capture_body(table: Table, *, images: bool = False, derived: bool = False) -> str:
    """Return the statements of the function that records changed rows of a source table.

    A renamed or dropped key column must not make an application's write fail: the change is then recorded as one of the whole
    table. Keys are read in a block of their own, which writes nothing and so uses no transaction id.

    Args:
        images: record the rows, too, as the dual-write window needs.
        derived: for updates by a trigger, also record the row before.
    """
    old, new = (_key(table, alias) for alias in ("old", "new"))
    name = literal(table.name)
    settings = "" if _steady(table) else (
        "\n    set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set timezone = 'UTC' set extra_float_digits = '1'"
        " set bytea_output = 'hex'"
    )  # fmt: skip
    columns, row, both = ("", "", "")
    if images:
        columns, row = ", image", ", row_to_json(new)"
        both = ", " + (DERIVED if derived else "null")
    log = f"insert into {JOURNAL}.source_log (table_name"
    return (
        f"create or replace function {capture_function(table)}() returns trigger\n"
        f"    language plpgsql security definer\n    set search_path = pg_catalog, pg_temp{settings}\n"
        "as $capture$\ndeclare\n    was_key text;\n    is_key text;\nbegin\n"
        "    begin\n"
        f"        if tg_op in ('UPDATE', 'DELETE') then\n            was_key := {old};\n        end if;\n"
        f"        if tg_op in ('UPDATE', 'INSERT') then\n            is_key := {new};\n        end if;\n"
        "    exception when undefined_column then\n        was_key := null;\n        is_key := null;\n"
        "    end;\n"
        "    if tg_op = 'UPDATE' then\n"
        f"        {log}, old_key, new_key{columns}{', was' if images else ''}) values ({name}, was_key, is_key{row}{both});\n"
        "    elsif tg_op = 'INSERT' then\n"
        f"        {log}, new_key{columns}) values ({name}, is_key{row});\n"
        "    elsif tg_op = 'DELETE' then\n"
        f"        {log}, old_key) values ({name}, was_key);\n"
        "    else\n"
        f"        {log}) values ({name});\n"
        "    end if;\n    return null;\nend\n$capture$"
    )


def capture_statements(project: Project, table: Table, environment: Environment) -> Iterable[str]:
    login = environment.login
    function = capture_function(table)
    yield capture_body(table)
    yield f"comment on function {function}() is {literal(f'Notes which rows of {table.name} applications change.')}"
    yield f"revoke all on function {function}() from public"
    homes = ", ".join(
        dict.fromkeys(ident(project.target.schema, each.target.name) for each in project.of_source(table.name))
    )
    when = f"when (session_user <> {literal(login)})"
    for leaf in leaves(project, table):
        yield (
            f"create or replace trigger {CAPTURE} after insert or update or delete on {leaf} for each row {when}"
            f" execute function {function}()"
        )
        yield (
            f"create or replace trigger {CAPTURE}_truncate after truncate on {leaf} for each statement {when}"
            f" execute function {function}()"
        )
        yield (
            f"create or replace trigger {FENCE} before insert or update or delete on {leaf} for each row {when}"
            f" {_refused('source', login, homes)}"
        )
        yield (
            f"create or replace trigger {FENCE}_truncate before truncate on {leaf} for each statement {when}"
            f" {_refused('source', login, homes)}"
        )
        yield (
            f"alter table {leaf} enable always trigger {CAPTURE}, enable always trigger {CAPTURE}_truncate,"
            f" disable trigger {FENCE}, disable trigger {FENCE}_truncate"
        )
        if environment.auth_triggers:
            # Created accounts fire the triggers of auth.users, whose writes are not the migrator's.
            yield (
                f"create or replace trigger {GUARD} before insert or update or delete on {leaf} for each row"
                f" when (session_user = {literal(login)} and pg_trigger_depth() > 0)"
                f" execute function {JOURNAL}.leave_out()"
            )
            yield f"alter table {leaf} enable always trigger {GUARD}"


def release_statements(project: Project, table: Table) -> Iterable[str]:
    for leaf in leaves(project, table):
        for trigger in OURS:
            yield f"drop trigger if exists {trigger} on {leaf}"
    # Also from a table that was renamed or detached meanwhile.
    yield f"drop function if exists {capture_function(table)}() cascade"


def _key(table: Table, alias: str) -> str:
    key = table.row_key or ()
    first = table.column(key[0])
    return key_sql(alias, key, is_text=first is not None and is_text(first) and first.type == "text")


def _steady(table: Table) -> bool:
    columns = (table.column(name) for name in table.row_key or ())
    return all(column is not None and column.type.partition("(")[0] in _STEADY for column in columns)
