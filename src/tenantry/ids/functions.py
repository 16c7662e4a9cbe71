"""The functions that look ids up in the database: old to new, new to old, and either form while clients still use both.

Each is made for one manifest, with a static statement for every target table: nothing is put together when it is called, the
server keeps the plans, and what a client may see is decided by the policies of the very table. Pure: a project in, SQL out.

Who calls decides how a row is found. For clients the policies bring the tenants along, by which the keys of the target begin; the
owner and the service see every tenant, and so ask for each of them where no index begins with the id itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import indent

from tenantry.access import close_sql
from tenantry.access.grants import has_visitors
from tenantry.catalog import Table
from tenantry.derivation.ids import id_sql
from tenantry.journal.names import JOURNAL
from tenantry.manifest.model import Colleagues, Own
from tenantry.mapping import Mapping, Project
from tenantry.mapping.legacy_ids import from_part, legacy_of, source_key
from tenantry.mapping.project import LEGACY_ID, ROW_ID
from tenantry.postgres import ident, literal, literals, load_blocks, short_name

FORMS = ("old", "new")
_UUID = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"

SIGNATURES = {
    "id_of": "id_of(text, text)",
    "old_id_of": "old_id_of(text, uuid)",
    "to_id": "to_id(text, text)",
    "ids_of": "ids_of(text, text[])",
    "old_ids_of": "old_ids_of(text, uuid[])",
    "merged_into": "merged_into(text, text)",
    "note_id_use": "note_id_use(text, text)",
    "uuids_among": "uuids_among(text[], text[])",
}

_COMMENTS = {
    "id_of": (
        "The new id of a row by its old one: of a merged row that of the one which stands for it; a new id "
        "gives itself. Null for rows that are unknown, in quarantine, or that the caller may not see."
    ),
    "ids_of": ("As id_of(), for many at once: a row for each id that is known. For the owner and the service."),
    "old_id_of": (
        "The old id of a row by its new one, without the prefix that tells several sources apart; a row that "
        "was born in the target has its own id as text. Null for rows that are unknown, or that the caller "
        "may not see."
    ),
    "old_ids_of": ("As old_id_of(), for many at once: a row for each id that is known. For the owner and the service."),
    "to_id": (
        "The new id for either form: tables of [ids] both accept old ids, which are counted in "
        "tenantry.id_use, and new ids; other tables accept new ids only. A new id is not looked up; an old id "
        "that is unknown, or that the caller may not see, gives null."
    ),
    "merged_into": (
        "The old id of the row that a row was merged into, for members of its tenant; null for other callers."
    ),
}


def lookup_statements(project: Project) -> tuple[str, ...]:
    """What makes the functions, the counters and their rights; to be run in one transaction, and again whenever `[ids] both` has
    changed. Counters are kept."""
    blocks = load_blocks("tenantry.ids", "functions")
    return (
        blocks["counters"],
        *_counters(project),
        blocks["uses"],
        _tables(project),
        *_as_definer(project, (_note(project, blocks["note"]), _merged_into(project), _comment("merged_into"))),
        _id_of(project),
        _old_id_of(project),
        _to_id(project),
        _ids_of(project),
        _old_ids_of(project),
        *_rights(project),
        *(_comment(name) for name in _COMMENTS if name != "merged_into"),
        blocks["born"],
        close_sql(project.manifest),
    )


def drop_statements(project: Project) -> tuple[str, ...]:
    """What takes them away again, counters included."""
    sequences = [name for table in project.manifest.ids.both for form in FORMS for name in _sequences(table, form)]
    return (
        *(f"drop function if exists {JOURNAL}.{signature}" for signature in SIGNATURES.values()),
        f"drop view if exists {JOURNAL}.id_use, {JOURNAL}.id_table",
        f"drop table if exists {JOURNAL}.id_counter",
        *(f"drop sequence if exists {name}" for name in sequences),
    )


def _comment(name: str) -> str:
    return f"comment on function {JOURNAL}.{SIGNATURES[name]} is {literal(_COMMENTS[name])}"


# -- which tables ------------------------------------------------------------------------------------------------------


def _names(project: Project) -> Iterator[tuple[str, tuple[Mapping, ...]]]:
    """Every name that can be asked for, with the mappings that are meant: a target table, or one source of several of it."""
    for table, mappings in project.by_target.items():
        yield table, mappings
        if len(mappings) > 1:
            yield from ((mapping.name, (mapping,)) for mapping in mappings)


def _tables(project: Project) -> str:
    rows = [
        (mapping.source.name, table, mapping.name, name, mapping.profile)
        for table, mappings in project.by_target.items()
        for mapping in mappings
        for name in [mapping.name if len(mappings) > 1 else table]
    ]
    values = ",\n    ".join(f"({literals(row)})" for row in rows)
    return (
        f"create or replace view {JOURNAL}.id_table (source_table, target_table, mapping, name, is_profile) as values\n    {values};\n"
        f"comment on view {JOURNAL}.id_table is 'Which tables have old ids, and the name by which id_of() and the like are asked.';"
    )


def _sequences(table: str, form: str) -> tuple[str, str]:
    return (
        ident(JOURNAL, short_name("id_uses", form, table)),
        ident(JOURNAL, short_name("id_times", form, table)),
    )


def _counters(project: Project) -> Iterator[str]:
    both = project.manifest.ids.both
    for table in both:
        for form in FORMS:
            uses, times = _sequences(table, form)
            yield f"create sequence if not exists {uses};\ncreate sequence if not exists {times} minvalue 0"
    rows = [(table, form, *_sequences(table, form)) for table in both for form in FORMS]
    if rows:
        values = ",\n    ".join(f"({literals(row)})" for row in rows)
        yield (
            f"insert into {JOURNAL}.id_counter (target_table, form, uses, times) values\n    {values}\n"
            "on conflict do nothing"
        )
    accepted = f"target_table in ({literals(both)})" if both else "false"
    yield f"update {JOURNAL}.id_counter set accepted = {accepted} where accepted <> ({accepted})"


# -- finding rows ------------------------------------------------------------------------------------------------------


def _leads(table: Table, column: str) -> bool:
    return any(index.columns[:1] == (column,) and index.predicate is None for index in table.indexes)


def _find(project: Project, table: Table, column: str, condition: str, *, apart: bool, what: str) -> str:
    """A statement that finds rows `t`.

    Args:
        column: by which they are found.
        apart: for a caller who sees every tenant: each tenant is asked, where no index of the table begins with the column.
            As long as there is one (until the contract Tenantry has one over old ids), the server uses that.
        what: what is selected.
    """
    name = ident(table.schema, table.name)
    tenant = table.column(project.manifest.tenant.column)
    if not apart or tenant is None or project.root.target.name == table.name or _leads(table, column):
        return f"select {what} from {name} as t where {condition}"
    key, root = ident(tenant.name), ident(project.root.target.schema, project.root.target.name)
    found = f"select {what} from {root} as c join {name} as t on t.{key} = c.{ROW_ID} where {condition}"
    if tenant.nullable:
        found += f"\nunion all\nselect {what} from {name} as t where t.{key} is null and {condition}"
    return found


def _keys(mappings: Sequence[Mapping], old: str) -> str:
    """A condition over legacy_id: the old id as the source has it, behind each prefix that the target gave it."""
    keys = list(dict.fromkeys([old, *(legacy_of(m, old) for m in mappings if m.legacy_prefix)]))
    return f"= {old}" if len(keys) == 1 else f"= any (array[{', '.join(keys)}])"


def _only(mappings: Sequence[Mapping], name: str) -> str:
    """Of a target table's rows those of the one source that is named."""
    if name != mappings[0].name or not mappings[0].legacy_prefix:
        return ""
    return from_part(mappings[0], " and")


def _bare(mappings: Sequence[Mapping]) -> str:
    """A row's old id as the source has it."""
    cases = "".join(f"{from_part(m, ' when')} then {source_key(m)}" for m in mappings if m.legacy_prefix)
    return f"case{cases} else t.{LEGACY_ID} end" if cases else f"t.{LEGACY_ID}"


def _unless_ambiguous(project: Project, mappings: Sequence[Mapping], name: str, *, apart: bool) -> str:
    """The id of the one row with an old id; several sources may have the same one."""
    table = mappings[0].target
    condition = f"t.{LEGACY_ID} {_keys(mappings, 'id_of.old')}{_only(mappings, name)}"
    if len(mappings) == 1:
        return _find(project, table, LEGACY_ID, condition, apart=apart, what=f"t.{ROW_ID}") + "\nlimit 1"
    found = _find(project, table, LEGACY_ID, condition, apart=apart, what=f"t.{ROW_ID}")
    return f"select array_agg(distinct x.{ROW_ID}) from (\n{indent(found, '    ')}) as x"


def _by_role(clients: str, others: str) -> str:
    if clients == others:
        return f"{clients};"
    return f"if me.is_client then\n{indent(clients, '    ')};\nelse\n{indent(others, '    ')};\nend if;"


def _cases(branches: Sequence[tuple[str, str]], level: str = "    ") -> str:
    return "\n".join(f"{level}when {literal(name)} then\n{indent(body, level + '    ')}" for name, body in branches)


def _no_such_table(project: Project) -> str:
    known = ", ".join(name for name, _ in _names(project))
    return (
        "    else\n        raise exception 'there are no ids of a table %', coalesce(quote_literal(target_table), 'null')\n"
        f"            using errcode = 'invalid_parameter_value', hint = {literal(f'Name a target table that has a source: {known}.')};"
    )


def _is_client(project: Project) -> str:
    roles = project.manifest.database_roles
    return f"is_client constant boolean := current_user in ({literals((roles.anon, roles.authenticated))});"


# -- old to new --------------------------------------------------------------------------------------------------------


def _id_of(project: Project) -> str:
    branches = []
    authenticated = literal(project.manifest.database_roles.authenticated)
    for name, mappings in _names(project):
        table = mappings[0].target

        def by_old(apart: bool, mappings: tuple[Mapping, ...] = mappings, name: str = name) -> str:
            into = "several" if len(mappings) > 1 else "answer"
            return _into(_unless_ambiguous(project, mappings, name, apart=apart), into)

        lines = [_by_role(by_old(False), by_old(True))]
        if len(mappings) > 1:
            prefixes = " or ".join(f"{m.legacy_prefix}…" for m in mappings)
            hint = (
                f"Say which source is meant: {' or '.join(m.name for m in mappings)} as the table; or write {prefixes}."
            )
            lines.append(
                "if cardinality(several) > 1 then\n"
                f"    raise exception 'several rows of % have the old id %', {literal(name)}, quote_literal(id_of.old)\n"
                f"        using errcode = 'cardinality_violation', hint = {literal(hint)};\nend if;\nanswer := several[1];"
            )
        if mappings[0].merge is not None:
            merged = literal(mappings[0].name)

            def survivor(apart: bool, table: Table = table) -> str:
                condition = f"t.{LEGACY_ID} = me.survivor"
                found = _find(project, table, LEGACY_ID, condition, apart=apart, what=f"t.{ROW_ID}")
                return _into(found + "\nlimit 1", "answer")

            lines.append(
                "if answer is null then\n"
                f"    if current_user = {authenticated} then\n"
                f"        survivor := {JOURNAL}.merged_into({merged}, id_of.old);\n"
                "    elsif not me.is_client then\n"
                f"        select m.into_key into survivor from {JOURNAL}.merged as m\n"
                f"         where m.mapping = {merged} and m.source_key = id_of.old;\n    end if;\n"
                "    if survivor is not null then\n"
                f"{indent(_by_role(survivor(False), survivor(True)), '        ')}\n    end if;\nend if;"
            )

        def itself(
            apart: bool, table: Table = table, mappings: tuple[Mapping, ...] = mappings, name: str = name
        ) -> str:
            condition = f"t.{ROW_ID} = me.given{_only(mappings, name)}"
            return _into(
                _find(project, table, ROW_ID, condition, apart=apart, what=f"t.{ROW_ID}") + "\nlimit 1", "answer"
            )

        lines.append(
            "if answer is null and given is not null then\n"
            + indent(_by_role(itself(False), itself(True)), "    ")
            + "\nend if;"
        )
        branches.append((name, "\n".join(lines)))
    return f"""\
create or replace function {JOURNAL}.id_of(target_table text, old text) returns uuid
    language plpgsql stable parallel safe security invoker
    set search_path = pg_catalog, pg_temp
as $function$
<<me>>
declare
    {_is_client(project)}
    given    constant uuid := case when id_of.old ~ '{_UUID}' then id_of.old::uuid end;
    answer   uuid;
    several  uuid[];
    survivor text;
begin
    case target_table
{_cases(branches)}
{_no_such_table(project)}
    end case;
    return answer;
end
$function$"""


def _into(statement: str, variable: str) -> str:
    """A statement as an assignment."""
    return f"{variable} := (\n{indent(statement, '    ')})"


def _ids_of(project: Project) -> str:
    branches = []
    for name, mappings in _names(project):
        table = ident(mappings[0].target.schema, mappings[0].target.name)
        only = _only(mappings, name)
        hits = []
        for prefix in dict.fromkeys(["", *(mapping.legacy_prefix for mapping in mappings)]):
            key = f"{literal(prefix)} || g.old" if prefix else "g.old"
            hits.append(f"select g.old, t.{ROW_ID} from given as g join {table} as t on t.{LEGACY_ID} = {key}{only}")
        if mappings[0].merge is not None:
            hits.append(
                f"select g.old, t.{ROW_ID} from given as g\n"
                f"  join {JOURNAL}.merged as m on m.mapping = {literal(mappings[0].name)} and m.source_key = g.old\n"
                f"  join {table} as t on t.{LEGACY_ID} = m.into_key\n"
                f" where not exists (select from {table} as o where o.{LEGACY_ID} = g.old)"
            )
        listed = indent("\nunion all\n".join(hits), "    ")
        body = f"""\
with given as materialized (
    select distinct u.old from unnest(olds) as u (old)
), hits as (
{listed}
)
select array_agg(h.old), array_agg(h.{ROW_ID}) into found, answers from hits as h;
rest := {JOURNAL}.uuids_among(olds, found);
if rest is not null then
    return query select u.old, t.{ROW_ID} from unnest(rest) as u (old) join {table} as t on t.{ROW_ID} = u.old::uuid{only};
end if;"""
        branches.append((name, body))
    return f"""\
create or replace function {JOURNAL}.uuids_among(olds text[], found text[]) returns text[]
    language sql immutable parallel safe
    set search_path = pg_catalog, pg_temp
as $function$
    select array_agg(r.old)
      from (select u.old from unnest(olds) as u (old) where u.old ~ '{_UUID}'
            except
            select f.old from unnest(found) as f (old)) as r
$function$;
create or replace function {JOURNAL}.ids_of(target_table text, olds text[]) returns table (old_id text, new_id uuid)
    language plpgsql stable security invoker
    set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan
as $function$
declare
    found   text[];
    answers uuid[];
    rest    text[];
begin
    case target_table
{_cases(branches)}
{_no_such_table(project)}
    end case;
    return query select a.old, a.id from unnest(found, answers) as a (old, id);
end
$function$"""


# -- new to old --------------------------------------------------------------------------------------------------------


def _old_id_of(project: Project) -> str:
    branches = []
    for name, mappings in _names(project):

        def by_new(apart: bool, mappings: tuple[Mapping, ...] = mappings, name: str = name) -> str:
            condition = f"t.{ROW_ID} = old_id_of.new{_only(mappings, name)}"
            # An id is given once, but for what a client wrote into a tenant of his own: that has no past.
            what = f"{_bare(mappings)} as old, t.{LEGACY_ID} = t.{ROW_ID}::text as same"
            found = _find(project, mappings[0].target, ROW_ID, condition, apart=apart, what=what)
            return f"return (select x.old from (\n{indent(found, '    ')}) as x order by x.same limit 1)"

        branches.append((name, _by_role(by_new(False), by_new(True))))
    return f"""\
create or replace function {JOURNAL}.old_id_of(target_table text, new uuid) returns text
    language plpgsql stable parallel safe security invoker
    set search_path = pg_catalog, pg_temp
as $function$
<<me>>
declare
    {_is_client(project)}
begin
    case target_table
{_cases(branches)}
{_no_such_table(project)}
    end case;
end
$function$"""


def _old_ids_of(project: Project) -> str:
    branches = []
    for name, mappings in _names(project):
        table = ident(mappings[0].target.schema, mappings[0].target.name)
        branches.append(
            (
                name,
                f"return query\nselect distinct on (t.{ROW_ID}) t.{ROW_ID}, {_bare(mappings)}\n"
                f"  from (select distinct u.id from unnest(news) as u (id)) as g join {table} as t on t.{ROW_ID} = g.id"
                f"{_only(mappings, name)}\n order by t.{ROW_ID}, t.{LEGACY_ID} = t.{ROW_ID}::text;",
            )
        )
    return f"""\
create or replace function {JOURNAL}.old_ids_of(target_table text, news uuid[]) returns table (new_id uuid, old_id text)
    language plpgsql stable security invoker
    set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan
as $function$
begin
    case target_table
{_cases(branches)}
{_no_such_table(project)}
    end case;
end
$function$"""


# -- either form -------------------------------------------------------------------------------------------------------


def _to_id(project: Project) -> str:
    both = project.manifest.ids.both
    merging = [name for name in both if any(m.merge is not None for m in project.by_target.get(name, ()))]
    known = literals(table.name for table in project.target.tables)
    is_both = f"target_table in ({literals(both)})" if both else "false"
    also_canonical = f" or target_table in ({literals(merging)})" if merging else ""
    hint = (
        "Old ids of this table are not accepted (any more): translate them with `tenantry ids translate`, or name the table in"
        " [ids] both of the manifest and run `tenantry ids apply`."
    )
    return f"""\
create or replace function {JOURNAL}.to_id(target_table text, given text) returns uuid
    language plpgsql stable parallel unsafe security invoker
    set search_path = pg_catalog, pg_temp
as $function$
<<me>>
declare
    either constant boolean := {is_both};
    answer uuid;
    other  uuid;
    form   text := 'new';
    mark   text;
begin
    if target_table is null or target_table not in ({known}) then
        raise exception 'there is no table % in the target', coalesce(quote_literal(target_table), 'null')
            using errcode = 'invalid_parameter_value';
    end if;
    if given is null then
        return null;
    end if;
    if given ~ '{_UUID}' then
        answer := given::uuid;
        -- Another spelling of a uuid is an old id of its own, and a uuid that was kept can be that of a row which was merged.
        if either and (given <> answer::text{also_canonical}) then
            other := {JOURNAL}.id_of(target_table, given);
            if other <> answer then
                answer := other;
                form := 'old';
            end if;
        end if;
    elsif either then
        answer := {JOURNAL}.id_of(target_table, given);
        form := 'old';
    else
        raise exception '% takes new ids only, and % is none', target_table, quote_literal(left(given, 80))
            using errcode = 'invalid_text_representation', hint = {literal(hint)};
    end if;
    if either and answer is not null then
        -- The planner asks as well, to estimate, and a join for every row: an id that comes again and again in one transaction
        -- counts once.
        mark := target_table || ' ' || given;
        if current_setting('tenantry.id_counted', true) is distinct from mark then
            perform set_config('tenantry.id_counted', mark, true);
            perform {JOURNAL}.note_id_use(target_table, form);
        end if;
    end if;
    return answer;
end
$function$"""


def _note(project: Project, text: str) -> str:
    scans, counters = [], []
    for table in project.manifest.ids.both:
        for form in FORMS:
            uses, times = _sequences(table, form)
            scans.append(f"        when {literal(f'{table} {form}')} then perform last_value from {uses};")
            counters.append(
                f"    when {literal(f'{table} {form}')} then\n        counter := {literal(uses)}; clock := {literal(times)};"
            )
    never = "when '' then null;"
    return text.format(scans="\n".join(scans) or f"        {never}", counters="\n".join(counters) or f"    {never}")


def _merged_into(project: Project) -> str:
    """For clients, who do not read the list of merged rows: what was merged is told to those only who have the role by which the
    table is read, in the tenant or as colleagues of the person, and to super admins, before the policies decide whether they see
    the row that stands for it."""
    branches = []
    for mapping in project:
        if mapping.merge is None:
            continue
        derived = id_sql(project.manifest.ids.namespace, mapping.namespace, "m.into_key")
        tenant = project.manifest.tenant.column
        role = _read_with(project, mapping)
        least = literal(role or "")
        if role is None:
            may = f"{JOURNAL}.is_super()"
        elif mapping.scoped and tenant in mapping.merge.by:
            may = f"(m.derived ->> {literal(tenant)})::uuid = any ({JOURNAL}.tenants({least}))"
        elif mapping.is_root:
            may = f"{derived}\n         = any ({JOURNAL}.tenants({least}))"
        elif mapping.profile:
            may = f"{derived}\n         = any ({JOURNAL}.colleagues({least}) || {JOURNAL}.profile_id())"
        else:
            may = f"{JOURNAL}.is_super()"
        name = literal(mapping.name)
        branches.append(
            (
                mapping.name,
                f"return (\n    select m.into_key from {JOURNAL}.merged as m\n"
                f"     where m.mapping = {name} and m.source_key = merged_into.old\n       and {may});",
            )
        )
    body = (
        f"    case mapping\n{_cases(branches)}\n    else return null;\n    end case;"
        if branches
        else "    return null;"
    )
    return f"""\
create or replace function {JOURNAL}.merged_into(mapping text, old text) returns text
    language plpgsql stable parallel safe security definer
    set search_path = pg_catalog, pg_temp set standard_conforming_strings = on
as $function$
begin
{body}
end
$function$"""


def _read_with(project: Project, mapping: Mapping) -> str | None:
    """The least role with which rows of a table are read that are not one's own; none where clients below super admins do not."""
    roles = project.manifest.roles.order
    cell = project.manifest.tables[mapping.target.name].access.select
    if isinstance(cell, Own):
        return None
    role = cell.colleagues if isinstance(cell, Colleagues) else cell
    if role in ("signed_in", "public"):
        return roles[0]
    return role if role in roles else None


# -- rights ------------------------------------------------------------------------------------------------------------


def _as_definer(project: Project, statements: Sequence[str]) -> Iterator[str]:
    """The role of the context functions makes its functions itself, as those are made: see access.context."""
    definer = ident(project.manifest.database_roles.definer)
    yield f"grant select (mapping, source_key, into_key, derived) on {JOURNAL}.merged to {definer}"
    for table in project.manifest.ids.both:
        for form in FORMS:
            yield f"grant usage, select, update on sequence {', '.join(_sequences(table, form))} to {definer}"
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
    """Who may ask for single ids; visitors only where rows are public."""
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


__all__ = ["FORMS", "SIGNATURES", "drop_statements", "lookup_statements"]
