"""Drafts columns whose values hold ids of other rows: polymorphic pairs, arrays, documents, texts.

A rule is drafted where the survey's values say so and a manifest can express it; otherwise there is a question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tenantry.catalog import Column, Table
from tenantry.draft.context import Drafting
from tenantry.draft.model import DraftColumn, DraftTable, Question
from tenantry.manifest.scalars import PATH
from tenantry.mapping.values.type_names import INTEGERS, TEXTS
from tenantry.postgres import ident
from tenantry.survey.model import FoundReference
from tenantry.survey.sample import DOCUMENTS, base_type

_COPIED = ("ref = false, if it is plain data; then give the column its old type in the target's file",)
_UNCHANGED = ("Take the rule out, if it is plain data: the value is then copied unchanged.",)


def add_inner_ids(work: Drafting, table: Table, made: DraftTable, column: Column, drafted: DraftColumn) -> None:
    """Draft the ids inside the values of one column."""
    inner = [
        each for each in work.references.get(table.name, ())
        if each.place.column == column.name and (each.place.form != "value" or each.when is not None)
    ]  # fmt: skip
    if _polymorphic(work, made, column, inner, drafted):
        return
    # The ids of tables that keep theirs are right as they are.
    inner = [each for each in inner if each.parent not in work.kept]
    if _array_of_ids(work, made, inner, drafted):
        return
    own_key = column.name in (table.row_key or ())
    paths = {} if own_key else _paths(work, column, inner)
    texts = {} if own_key or paths else _patterns(work, column, inner)
    if paths:
        _documents(work, column, paths, drafted)
    elif texts:
        _texts(work, made, inner, texts, drafted)
    said = {*paths.values(), *texts.values()}
    for each in inner:
        if each not in said:
            _ask(work, made, each)


def _by_row_key(work: Drafting, each: FoundReference) -> bool:
    """Whether a reference names rows of a migrated table by their key, which is what rules of ids can look up."""
    parent = work.catalog.table(each.parent)
    return parent is not None and each.parent in work.target_of and each.parent_columns == parent.row_key


# -- polymorphic pairs ---------------------------------------------------------------------------------------------------


def pair_to_tenant(work: Drafting, table: Table) -> tuple[str, tuple[str, ...]]:
    """Return the first column of a table that is drafted as a polymorphic pair, and the source tables that it names; empty if there is
    none."""
    for column in table.columns:
        inner = [
            each for each in work.references.get(table.name, ())
            if each.place.column == column.name and (each.place.form != "value" or each.when is not None)
        ]  # fmt: skip
        types = _types(work, inner)
        if types and not all(each.parent in work.kept for each in inner):
            return column.name, tuple(each.parent for each in types.values())
    return "", ()


def _types(work: Drafting, inner: Sequence[FoundReference]) -> dict[str, FoundReference]:
    """Return the tables of a pair by type, if every type that was found is known."""
    types: dict[str, FoundReference] = {each.when[1]: each for each in inner if each.when is not None}
    if len(types) < 2 or len(types) < len(inner) or any(each.place.form != "value" for each in inner):
        return {}
    if any(each.unknown or each.place.pattern or not _by_row_key(work, each) for each in inner):
        return {}
    return types


def _polymorphic(
    work: Drafting, made: DraftTable, column: Column, inner: Sequence[FoundReference], drafted: DraftColumn
) -> bool:
    """Draft an id that belongs to the table that another column names, if every type that was found is known."""
    types = _types(work, inner)
    if not types:
        return False
    if all(each.parent in work.kept for each in inner):
        return True
    # Kept numbers and uuids have no other type in common.
    drafted.type = "text" if any(each.parent in work.kept for each in inner) else "uuid"
    drafted.default = ""
    assert inner[0].when is not None
    drafted.rule |= {
        "as": "polymorphic", "type": inner[0].when[0], "ids": {kind: work.target_of[each.parent] for kind, each in types.items()},
    }  # fmt: skip
    chosen = 'as = "polymorphic": a row of any other type is quarantined'
    if column.nullable and any(each.share < 1 for each in inner):
        drafted.rule["stale"] = "drop"
        chosen += '; an id that names no row becomes null (stale = "drop")'
    elif any(each.share < 1 for each in inner):
        chosen += ", and so is one whose id names no row"
    work.out.questions.append(
        Question(
            f"{made.name}.{drafted.name}", f"Its ids belong to the table that {inner[0].when[0]} names.",
            tuple(reason for each in inner for reason in each.reasons[:1]), chosen,
            ("Add types that the sample did not have to ids.",
             f"Take the rule out, and give the column the type {work.unqualified(column.type)} in the target's file: old ids stay."),
            3,
        )
    )  # fmt: skip
    return True


# -- arrays --------------------------------------------------------------------------------------------------------------


def _array_of_ids(work: Drafting, made: DraftTable, inner: Sequence[FoundReference], drafted: DraftColumn) -> bool:
    """Turn an array of old ids into one of references if all its elements refer to rows of one table."""
    parents = {each.parent for each in inner}
    plain = all(each.place.form == "element" and not each.place.pattern and each.when is None for each in inner)
    if len(parents) != 1 or not plain or inner[0].parent not in work.target_of:
        return False
    parent = work.target_of[inner[0].parent]
    drafted.type, drafted.rule["ref"] = "uuid[]", parent
    if drafted.default:
        drafted.default = "'{}'" if "{}" in drafted.default or "ARRAY[]" in drafted.default else ""
    work.out.questions.append(
        Question(
            f"{made.name}.{drafted.name}", f"Its elements name rows of {parent}.", inner[0].reasons,
            f'ref = "{parent}": elements that name no row, or one of another tenant, are dropped and noted in the transform audit',
            _COPIED, 3,
        )
    )  # fmt: skip
    return True


# -- documents -----------------------------------------------------------------------------------------------------------


def _paths(work: Drafting, column: Column, inner: Sequence[FoundReference]) -> dict[str, FoundReference]:
    """Return the paths of a document, also of one in a text, that the manifest can express."""
    kind = base_type(work.catalog, column)
    found: dict[str, FoundReference] = {}
    for each in inner:
        path = each.place.path or "$"
        # In the manifest a final star means keys only.
        plain = each.place.form == "json key" or (each.place.form == "json" and not path.endswith("*"))
        plain = plain and not each.place.pattern and each.when is None and (kind in DOCUMENTS or kind in TEXTS)
        if plain and PATH.fullmatch(path) and path not in found and _by_row_key(work, each):
            found[path] = each
    return found


def _documents(work: Drafting, column: Column, paths: Mapping[str, FoundReference], drafted: DraftColumn) -> None:
    document = base_type(work.catalog, column) in DOCUMENTS
    drafted.type = "jsonb" if document else "text"
    drafted.rule["as"] = "json_ids"
    drafted.rule["ids"] = any_depth({path: work.target_of[each.parent] for path, each in paths.items()})
    if not document:
        # Other rows may hold a text that is no document.
        drafted.rule["invalid"] = {"correct": f"s.{ident(column.name)}"}


def any_depth(paths: Mapping[str, str]) -> dict[str, str]:
    """Replace paths of a document that repeats itself, such as a tree of comments, with one path for any depth.

    Args:
        paths: path → table.
    """
    made = dict(paths)
    for path, table in paths.items():
        begin, end = _around_repetition(_steps(path))
        if not end:
            continue
        same = [
            other for other in made
            if "**" not in other and (found := _steps(other))[: len(begin)] == begin and found[-len(end) :] == end
        ]  # fmt: skip
        wide = _joined([*begin, "**", *end])
        if path in same and {made[other] for other in same} == {table} and PATH.fullmatch(wide):
            for other in same:
                del made[other]
            made[wide] = table
    return made


def _steps(path: str) -> list[str]:
    return re.findall(r"\[\*\]|[^.\[\]]+", path)


def _joined(steps: Sequence[str]) -> str:
    text = ""
    for step in steps:
        text += step if step == "[*]" or not text else f".{step}"
    return text


def _around_repetition(steps: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the steps before and behind one that is repeated at once: `replies[*].replies[*].author` has `author` behind it.
    Empty without one."""
    for size in range(1, len(steps) // 2 + 1):
        for at in range(len(steps) - 2 * size):
            block = steps[at : at + size]
            # Lists in lists have the same depth everywhere.
            if block != steps[at + size : at + 2 * size] or block[0] in ("[*]", "*"):
                continue
            behind = at + 2 * size
            while steps[behind : behind + size] == block:
                behind += size
            end = list(steps[behind:])
            if end and not {"*", "[*]"} & {end[0], end[-1]}:
                return list(steps[:at]), end
    return [], []


# -- texts ---------------------------------------------------------------------------------------------------------------


def _patterns(work: Drafting, column: Column, inner: Sequence[FoundReference]) -> dict[str, FoundReference]:
    """Return the patterns of ids inside a text. A document that is kept as text is one, too."""
    found: dict[str, FoundReference] = {}
    for each in inner:
        inside = each.place.form == "embedded" or (each.place.json_text and each.place.form == "json")
        if not inside or not each.place.pattern or each.when is not None or not _by_row_key(work, each):
            continue
        pattern = pattern_of(each.place.pattern, _type_of_key(work, each))
        if base_type(work.catalog, column) in TEXTS and pattern and pattern not in found:
            found[pattern] = each
    return found


def _type_of_key(work: Drafting, each: FoundReference) -> str:
    table = work.catalog.table(each.parent)
    column = table.column(each.parent_columns[0]) if table is not None else None
    return base_type(work.catalog, column) if column is not None else ""


def pattern_of(around: str, key: str) -> str:
    """Return the regular expression of an id inside a text; empty if the text around it does not distinguish it.

    Args:
        around: the text with `{}` for the id, such as `/orders/{}`.
        key: the type of the ids.
    """
    before, _, after = around.partition("{}")
    if not re.search(r"[^\W\d_]", before):
        return ""
    whole = r"(\d+)\M" if key in INTEGERS else "([A-Za-z0-9_-]+)"
    begin = r"\m" if before[0].isalnum() else ""
    return f"{begin}{_escaped(before)}{whole}{_escaped(after)}"


def _escaped(text: str) -> str:
    """Escape what has a meaning in PostgreSQL's regular expressions, and nothing else, so that people can read it."""
    return re.sub(r"([\\.^$*+?()\[\]{}|])", r"\\\1", text)


def _texts(
    work: Drafting,
    made: DraftTable,
    inner: Sequence[FoundReference],
    texts: Mapping[str, FoundReference],
    drafted: DraftColumn,
) -> None:
    drafted.type = "text"
    drafted.rule["as"] = "text_ids"
    drafted.rule["ids"] = {pattern: work.target_of[each.parent] for pattern, each in texts.items()}
    parents = sorted({work.target_of[each.parent] for each in texts.values()})
    work.out.questions.append(
        Question(
            f"{made.name}.{drafted.name}", f"Its texts hold ids of {', '.join(parents)}.",
            tuple(f"{each.place}: {each.reasons[0]}" for each in inner if each in texts.values()),
            'as = "text_ids": these ids are replaced; the rest of the text stays, and so do ids that name no row',
            _UNCHANGED, 3,
        )
    )  # fmt: skip


# -- questions -----------------------------------------------------------------------------------------------------------


def _ask(work: Drafting, made: DraftTable, each: FoundReference) -> None:
    where = f" where {each.when[0]} is {each.when[1]!r}" if each.when else ""
    evidence = each.reasons
    if each.unknown:
        evidence += (f"no table has the ids of other types: {', '.join(each.unknown)}",)
    work.out.questions.append(
        Question(
            f"{made.name}.{each.place.column}",
            f"It holds old ids of {each.parent}{where} ({each.place}).", evidence,
            "The value is copied unchanged, with its old ids. tenantry.id_of() translates them.",
            ('Write an expression with up = "…", or translate these ids in the application.',), 5,
        )
    )  # fmt: skip
