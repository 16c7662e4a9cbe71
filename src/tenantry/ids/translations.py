"""The bodies of the lookup functions: old to new, new to old, and either form."""

from __future__ import annotations

from textwrap import indent

from tenantry.catalog import Table
from tenantry.derivation.ids import id_sql
from tenantry.ids.finding import (
    UUID,
    bare_old_id,
    by_role,
    case_branches,
    counter_sequences,
    find_rows,
    is_client_sql,
    names_taken,
    no_such_table,
    of_one_source,
    select_into,
    unless_ambiguous,
)
from tenantry.ids.signatures import FORMS
from tenantry.journal.names import JOURNAL
from tenantry.manifest.model import Colleagues, Own
from tenantry.mapping import Mapping, Project
from tenantry.mapping.project import LEGACY_ID, ROW_ID
from tenantry.postgres import ident, literal, literals


def id_of_function(project: Project) -> str:
    branches = []
    authenticated = literal(project.manifest.database_roles.authenticated)
    for name, mappings in names_taken(project):
        table = mappings[0].target

        def by_old(apart: bool, mappings: tuple[Mapping, ...] = mappings, name: str = name) -> str:
            into = "several" if len(mappings) > 1 else "answer"
            return select_into(unless_ambiguous(project, mappings, name, apart=apart), into)

        lines = [by_role(by_old(False), by_old(True))]
        if len(mappings) > 1:
            prefixes = " or ".join(f"{m.legacy_prefix}…" for m in mappings)
            hint = f"Name the source: {' or '.join(m.name for m in mappings)} as the table; or write {prefixes}."
            lines.append(
                "if cardinality(several) > 1 then\n"
                f"    raise exception 'several rows of % have the old id %', {literal(name)}, quote_literal(id_of.old)\n"
                f"        using errcode = 'cardinality_violation', hint = {literal(hint)};\nend if;\nanswer := several[1];"
            )
        if mappings[0].merge is not None:
            merged = literal(mappings[0].name)

            def survivor(apart: bool, table: Table = table) -> str:
                condition = f"t.{LEGACY_ID} = me.survivor"
                found = find_rows(project, table, LEGACY_ID, condition, apart=apart, what=f"t.{ROW_ID}")
                return select_into(found + "\nlimit 1", "answer")

            lines.append(
                "if answer is null then\n"
                f"    if current_user = {authenticated} then\n"
                f"        survivor := {JOURNAL}.merged_into({merged}, id_of.old);\n"
                "    elsif not me.is_client then\n"
                f"        select m.into_key into survivor from {JOURNAL}.merged as m\n"
                f"         where m.mapping = {merged} and m.source_key = id_of.old;\n    end if;\n"
                "    if survivor is not null then\n"
                f"{indent(by_role(survivor(False), survivor(True)), '        ')}\n    end if;\nend if;"
            )

        def itself(
            apart: bool, table: Table = table, mappings: tuple[Mapping, ...] = mappings, name: str = name
        ) -> str:
            condition = f"t.{ROW_ID} = me.given{of_one_source(mappings, name)}"
            return select_into(
                find_rows(project, table, ROW_ID, condition, apart=apart, what=f"t.{ROW_ID}") + "\nlimit 1", "answer"
            )

        lines.append(
            "if answer is null and given is not null then\n"
            + indent(by_role(itself(False), itself(True)), "    ")
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
    {is_client_sql(project)}
    given    constant uuid := case when id_of.old ~ '{UUID}' then id_of.old::uuid end;
    answer   uuid;
    several  uuid[];
    survivor text;
begin
    case target_table
{case_branches(branches)}
{no_such_table(project)}
    end case;
    return answer;
end
$function$"""


def ids_of_function(project: Project) -> str:
    branches = []
    for name, mappings in names_taken(project):
        table = ident(mappings[0].target.schema, mappings[0].target.name)
        only = of_one_source(mappings, name)
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
      from (select u.old from unnest(olds) as u (old) where u.old ~ '{UUID}'
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
{case_branches(branches)}
{no_such_table(project)}
    end case;
    return query select a.old, a.id from unnest(found, answers) as a (old, id);
end
$function$"""


def old_id_of_function(project: Project) -> str:
    branches = []
    for name, mappings in names_taken(project):

        def by_new(apart: bool, mappings: tuple[Mapping, ...] = mappings, name: str = name) -> str:
            condition = f"t.{ROW_ID} = old_id_of.new{of_one_source(mappings, name)}"
            # An id is used once, except for ids that a client wrote into their own tenant: these have no past.
            what = f"{bare_old_id(mappings)} as old, t.{LEGACY_ID} = t.{ROW_ID}::text as same"
            found = find_rows(project, mappings[0].target, ROW_ID, condition, apart=apart, what=what)
            return f"return (select x.old from (\n{indent(found, '    ')}) as x order by x.same limit 1)"

        branches.append((name, by_role(by_new(False), by_new(True))))
    return f"""\
create or replace function {JOURNAL}.old_id_of(target_table text, new uuid) returns text
    language plpgsql stable parallel safe security invoker
    set search_path = pg_catalog, pg_temp
as $function$
<<me>>
declare
    {is_client_sql(project)}
begin
    case target_table
{case_branches(branches)}
{no_such_table(project)}
    end case;
end
$function$"""


def old_ids_of_function(project: Project) -> str:
    branches = []
    for name, mappings in names_taken(project):
        table = ident(mappings[0].target.schema, mappings[0].target.name)
        branches.append(
            (
                name,
                f"return query\nselect distinct on (t.{ROW_ID}) t.{ROW_ID}, {bare_old_id(mappings)}\n"
                f"  from (select distinct u.id from unnest(news) as u (id)) as g join {table} as t on t.{ROW_ID} = g.id"
                f"{of_one_source(mappings, name)}\n order by t.{ROW_ID}, t.{LEGACY_ID} = t.{ROW_ID}::text;",
            )
        )
    return f"""\
create or replace function {JOURNAL}.old_ids_of(target_table text, news uuid[]) returns table (new_id uuid, old_id text)
    language plpgsql stable security invoker
    set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan
as $function$
begin
    case target_table
{case_branches(branches)}
{no_such_table(project)}
    end case;
end
$function$"""


def to_id_function(project: Project) -> str:
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
    if given ~ '{UUID}' then
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
        raise exception '% accepts new ids only, and % is not one', target_table, quote_literal(left(given, 80))
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


def note_function(project: Project, text: str) -> str:
    scans, counters = [], []
    for table in project.manifest.ids.both:
        for form in FORMS:
            uses, times = counter_sequences(table, form)
            scans.append(f"        when {literal(f'{table} {form}')} then perform last_value from {uses};")
            counters.append(
                f"    when {literal(f'{table} {form}')} then\n        counter := {literal(uses)}; clock := {literal(times)};"
            )
    never = "when '' then null;"
    return text.format(scans="\n".join(scans) or f"        {never}", counters="\n".join(counters) or f"    {never}")


def merged_into_function(project: Project) -> str:
    """Return the branch for clients, who cannot read the list of merged rows. A merge is shown only to callers who may read
    the table: with the required role in the tenant, as colleagues of the person, or as super admins. The policies then decide
    whether they see the surviving row."""
    branches = []
    for mapping in project:
        if mapping.merge is None or mapping.keeps_ids:
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
        f"    case mapping\n{case_branches(branches)}\n    else return null;\n    end case;"
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
    """Return the lowest role that may read rows other than one's own; none if only super admins may."""
    roles = project.manifest.roles.order
    cell = project.manifest.tables[mapping.target.name].access.select
    if isinstance(cell, Own):
        return None
    role = cell.colleagues if isinstance(cell, Colleagues) else cell
    if role in ("signed_in", "public"):
        return roles[0]
    return role if role in roles else None


__all__ = [
    "id_of_function",
    "ids_of_function",
    "merged_into_function",
    "note_function",
    "old_id_of_function",
    "old_ids_of_function",
    "to_id_function",
]
