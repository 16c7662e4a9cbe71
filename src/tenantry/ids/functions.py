"""The functions that look up ids in the database: old to new, new to old, and either form while clients still use both.

They are generated for one manifest, with a static statement for every target table: no SQL is built at run time, the server
caches the plans, and the policies of the table itself decide what a client may see. Pure: takes a project and returns SQL.

The caller decides how a row is found. For clients the policies add the tenant, with which the keys of the target begin. The
owner and the service see every tenant, so their statements search tenant by tenant if no index begins with the id itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tenantry.access import close_sql
from tenantry.access.grants import has_visitors
from tenantry.ids.finding import counter_sequences
from tenantry.ids.signatures import COMMENTS, FORMS, SIGNATURES, comment_on
from tenantry.ids.translations import (
    id_of_function,
    ids_of_function,
    merged_into_function,
    note_function,
    old_id_of_function,
    old_ids_of_function,
    to_id_function,
)
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Project
from tenantry.postgres import ident, literals, load_blocks


def lookup_statements(project: Project) -> tuple[str, ...]:
    """Return the SQL that creates the functions, the counters and their grants; to be run in one transaction, and again after
    a change of `[ids] both`. Counters are kept."""
    blocks = load_blocks("tenantry.ids", "functions")
    return (
        blocks["counters"],
        *_counters(project),
        blocks["uses"],
        _tables(project),
        *_as_definer(
            project, (note_function(project, blocks["note"]), merged_into_function(project), comment_on("merged_into"))
        ),
        id_of_function(project),
        old_id_of_function(project),
        to_id_function(project),
        ids_of_function(project),
        old_ids_of_function(project),
        *_rights(project),
        *(comment_on(name) for name in COMMENTS if name != "merged_into"),
        native_rows_function(),
        close_sql(project.manifest),
    )


def native_rows_function() -> str:
    """The trigger function that gives a row of the target its own id as `legacy_id`."""
    return load_blocks("tenantry.ids", "functions")["born"]


def drop_statements(project: Project) -> tuple[str, ...]:
    """Return the SQL that drops them, counters included."""
    sequences = [
        name for table in project.manifest.ids.both for form in FORMS for name in counter_sequences(table, form)
    ]
    return (
        *(f"drop function if exists {JOURNAL}.{signature}" for signature in SIGNATURES.values()),
        f"drop view if exists {JOURNAL}.id_use, {JOURNAL}.id_table",
        f"drop table if exists {JOURNAL}.id_counter",
        *(f"drop sequence if exists {name}" for name in sequences),
    )


def _tables(project: Project) -> str:
    rows = [
        (mapping.source.name, table, mapping.name, name, mapping.profile)
        for table, mappings in project.by_target.items()
        for mapping in mappings
        if not mapping.keeps_ids
        for name in [mapping.name if len(mappings) > 1 else table]
    ]
    values = ",\n    ".join(f"({literals(row)})" for row in rows)
    return (
        f"create or replace view {JOURNAL}.id_table (source_table, target_table, mapping, name, is_profile) as values\n    {values};\n"
        f"comment on view {JOURNAL}.id_table is 'Which tables have old ids, and the name by which id_of() and the like are asked.';"
    )


def _counters(project: Project) -> Iterator[str]:
    both = project.manifest.ids.both
    for table in both:
        for form in FORMS:
            uses, times = counter_sequences(table, form)
            yield f"create sequence if not exists {uses};\ncreate sequence if not exists {times} minvalue 0"
    rows = [(table, form, *counter_sequences(table, form)) for table in both for form in FORMS]
    if rows:
        values = ",\n    ".join(f"({literals(row)})" for row in rows)
        yield (
            f"insert into {JOURNAL}.id_counter (target_table, form, uses, times) values\n    {values}\n"
            "on conflict do nothing"
        )
    accepted = f"target_table in ({literals(both)})" if both else "false"
    yield f"update {JOURNAL}.id_counter set accepted = {accepted} where accepted <> ({accepted})"


# -- rights ------------------------------------------------------------------------------------------------------------


def _as_definer(project: Project, statements: Sequence[str]) -> Iterator[str]:
    """Create the functions as the role that owns the context functions, as these are created: see access.context."""
    definer = ident(project.manifest.database_roles.definer)
    yield f"grant select (mapping, source_key, into_key, derived) on {JOURNAL}.merged to {definer}"
    for table in project.manifest.ids.both:
        for form in FORMS:
            yield f"grant usage, select, update on sequence {', '.join(counter_sequences(table, form))} to {definer}"
    yield f"grant create on schema {JOURNAL} to {definer}"
    yield "do $$ begin perform set_config('tenantry.script_role', current_user, true); end $$"
    yield f"set local role {definer}"
    yield from statements
    names = f"{JOURNAL}.{SIGNATURES['note_id_use']}", f"{JOURNAL}.{SIGNATURES['merged_into']}"
    roles = project.manifest.database_roles
    clients = ident(roles.authenticated)
    counting = ", ".join(_callers(project))
    yield f"revoke all on function {', '.join(names)} from public"
    yield f"grant execute on function {names[0]} to {counting}"
    yield f"grant execute on function {names[1]} to {clients}"
    yield (
        "do $$\nbegin\n"
        f"    execute format('grant execute on function {names[0]} to %I', current_setting('tenantry.script_role'));\n"
        "    perform set_config('role', current_setting('tenantry.script_role'), true);\nend\n$$"
    )
    yield f"revoke create on schema {JOURNAL} from {definer}"


def _callers(project: Project) -> tuple[str, ...]:
    """Grant lookups of single ids; to anonymous only if some rows are public."""
    roles = project.manifest.database_roles
    visitors = (ident(roles.anon),) if has_visitors(project) else ()
    return (*visitors, ident(roles.authenticated), ident(roles.service))


def _rights(project: Project) -> Iterator[str]:
    service = ident(project.manifest.database_roles.service)
    single = ", ".join(f"{JOURNAL}.{SIGNATURES[name]}" for name in ("id_of", "old_id_of", "to_id"))
    many = ", ".join(f"{JOURNAL}.{SIGNATURES[name]}" for name in ("ids_of", "old_ids_of", "uuids_among"))
    yield f"revoke all on function {single}, {many} from public"
    yield f"grant execute on function {single} to {', '.join(_callers(project))}"
    yield f"grant execute on function {many} to {service}"
    yield f"grant select (mapping, source_key, into_key) on {JOURNAL}.merged to {service}"


__all__ = ["drop_statements", "lookup_statements"]
