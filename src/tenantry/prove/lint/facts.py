"""Facts that are read once for all checks: the conditions of policies, and what functions know about the caller."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import psycopg

from tenantry.postgres import load_blocks
from tenantry.prove.lint.clauses import ClauseRecord, Kind, read_clause
from tenantry.prove.lint.constant_folding import FoldingContext
from tenantry.prove.lint.pg_node_tree import parse
from tenantry.prove.lint.routine_reading import Body, Known, RoutineReading
from tenantry.prove.lint.routines import read_body

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_PART = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_CHAIN = re.compile(rf"({_PART}(?:\s*\.\s*{_PART})*)\s*(\()?")
_PIECE = re.compile(_PART)
# The server's own settings, e.g. server_version_num, do not identify the caller; settings of applications contain a dot.
_SEED = re.compile(
    r"current_setting\s*\(\s*(?!'[^'.]*'(?:::text)?\s*[,)])|\brequest\.jwt|\bsession_user\b|\bauth\.(?:uid|role|jwt|email)\s*\(",
    re.IGNORECASE,
)
_SETTING = re.compile(r"current_setting\s*\(\s*'([^']+)'", re.IGNORECASE)
_EDITABLE = re.compile(r"\b(?:raw_)?user_meta_?data\b", re.IGNORECASE)
_EXECUTE = re.compile(r"\bexecute\s+(?!function\b|procedure\b|on\b)(.*?)(?:;|$)", re.IGNORECASE | re.DOTALL)
_QUOTED = re.compile(r"\bquote_(?:ident|literal|nullable)\s*\(|::\s*reg[a-z]+|\bformat\s*\(", re.IGNORECASE)
_UNQUOTED_FORMAT = re.compile(r"\bformat\s*\(\s*E?'(?:[^']|'')*?%(?:\d+\$)?s", re.IGNORECASE)
_TOKEN = re.compile(r"\beyJ[\w-]{8,}\.(eyJ[\w-]{8,})\.")
_KEY = re.compile(
    r"\b(?:[sr]k_live_|sb_secret_|gh[pousr]_|xox[bpars]-|AKIA)[\w-]{12,}|BEGIN [A-Z ]*PRIVATE KEY|Bearer [\w.~+/-]{20,}"
    r"|\bpgp_sym_(?:en|de)crypt\s*\([^;)]*'[^']{8,}'",
)
_LITERAL = re.compile(
    r"""--[^\n]*|/\*.*?\*/|"(?:[^"]|"")*"|\b[eE]'(?:[^'\\]|\\.|'')*'|(?P<plain>'(?:[^']|'')*')|\$(?P<tag>\w*)\$(?P<inner>.*?)\$(?P=tag)\$""",
    re.DOTALL,
)
_CALLER_NAMES = frozenset({"uid", "role", "jwt", "email"})
_CURRENT_SETTING = (2077, 3294)


@dataclass(frozen=True, slots=True)
class FunctionFacts:
    """The facts about a function that checks use.

    Attributes:
        caller: it knows the caller: it reads settings or claims, or calls a function that does.
        direct: it returns the caller, or a fact about the caller, as a single non-boolean value; null without a caller.
        reads: oids of the tables and views that its text names.
        settings: names of the settings that its text reads.
        dynamic: its text composes a statement without quoting, and executes it.
        editable: its text names the metadata that users can edit.
        backslashes: the meaning of its literals depends on standard_conforming_strings.
        secret: its text contains something like a secret key or token.
        picks: arguments that select rows without a tie to the caller, as [argument, relation, column, whether it is written].
        asks: relations that it queries about the caller (see tenantry.prove.lint.routines.Ask).
        sets: settings that it sets to a value from its caller or from a row.
        parsed: its text could be read.
    """

    oid: int
    caller: bool
    direct: bool
    reads: list[int]
    calls: list[int]
    settings: list[str]
    dynamic: bool
    editable: bool
    backslashes: bool
    secret: bool
    picks: list[list[object]] = field(default_factory=list)
    asks: list[dict[str, object]] = field(default_factory=list)
    sets: list[str] = field(default_factory=list)
    parsed: bool = False


@dataclass(frozen=True, slots=True)
class LintFacts:
    """JSON for the parts `clauses` and `functions` of the checks, and what could not be parsed."""

    clauses: str
    functions: str
    unread: tuple[str, ...] = ()


def gather_facts(
    conn: psycopg.Connection[Any],
    schemas: Sequence[str],
    *,
    signed_in: Collection[str],
    visitors: Collection[str],
    membership: int | None = None,
) -> LintFacts:
    """Read the facts from the catalog; the connection's search_path does not matter.

    Args:
        membership: the oid of the membership table, if known: a function that queries it is no gate for operators.
    """
    blocks = load_blocks("tenantry.prove.lint", "facts")
    rows = conn.execute(blocks["functions"]).fetchall()
    relations = conn.execute(blocks["relations"]).fetchall()
    functions = read_functions(rows, relations)
    members = membership or 0
    readings = read_bodies(
        conn.execute(blocks["bodies"]).fetchall(),
        rows,
        functions,
        relations,
        conn.execute(blocks["columns"]).fetchall(),
        memberships={members} if members else set(),
    )
    functions = tuple(_with_reading(function, readings.get(function.oid)) for function in functions)
    required: dict[int, set[int]] = {}
    for table, number in conn.execute(blocks["required"]).fetchall():
        required.setdefault(table, set()).add(number)
    known = FoldingContext(
        callers={function.oid for function in functions if function.direct},
        roles={oid for oid, _, name, *_ in rows if name == "role"},
        operators=dict(conn.execute(blocks["operators"]).fetchall()),
        required={(table, number) for table, numbers in required.items() for number in numbers},
        signed_in=signed_in,
        visitors=visitors,
    )
    callers = {function.oid for function in functions if function.caller} | set(_CURRENT_SETTING)
    records: list[ClauseRecord] = []
    # Definer functions bypass policies, so an unread body means that the use of their arguments is unknown.
    unread = [
        f"the body of function {schema}.{name} cannot be read ({readings[oid].failed})"
        for oid, schema, name, _, definer, *_ in rows
        if definer and schema in schemas and oid in readings and readings[oid].failed
    ]
    # Policies of many tables are equal; their folded value depends on the table only through its NOT NULL columns.
    read: dict[tuple[str, frozenset[int]], ClauseRecord] = {}
    for policy, table, clause, text in conn.execute(blocks["conditions"], {"schemas": list(schemas)}).fetchall():
        kind: Kind = "USING" if clause == "USING" else "WITH CHECK"
        key = (text, frozenset(required.get(table, ())))
        try:
            if key not in read:
                read[key] = read_clause(policy, table, kind, parse(text), known, callers)
            records.append(replace(read[key], policy=policy, clause=kind))
        except (ValueError, IndexError, RecursionError) as error:
            unread.append(f"the condition {kind} of policy {policy} cannot be read ({error})")
    return LintFacts(
        json.dumps([_filled(record) for record in records]),
        json.dumps([_filled(function) for function in functions]),
        tuple(unread),
    )


def _with_reading(function: FunctionFacts, reading: RoutineReading | None) -> FunctionFacts:
    if reading is None or reading.failed:
        return function
    return replace(
        function,
        picks=[[pick.argument, pick.relation, pick.column, pick.written] for pick in reading.picks],
        asks=[asdict(ask) for ask in reading.asks],
        sets=list(reading.sets),
        parsed=True,
    )


def read_bodies(
    bodies: Sequence[tuple[Any, ...]],
    rows: Sequence[tuple[Any, ...]],
    functions: Sequence[FunctionFacts],
    relations: Sequence[tuple[Any, ...]],
    columns: Sequence[tuple[Any, ...]],
    *,
    memberships: set[int],
) -> dict[int, RoutineReading]:
    """Return what the bodies of functions do, by oid, from rows of the blocks of facts.sql. Pure."""
    by_name: dict[str, dict[str, int]] = {}
    for oid, schema, name in relations:
        by_name.setdefault(name, {})[schema] = oid
    of_relation: dict[int, dict[str, tuple[int, str]]] = {}
    for table, name, number, kind in columns:
        of_relation.setdefault(table, {})[name] = (number, kind)
    known = {each.oid: each for each in functions}
    callers: set[tuple[str, ...]] = set()
    gates: set[tuple[str, ...]] = set()
    for oid, schema, name, _, _, _, type_name, _ in rows:
        if known[oid].caller:
            callers |= {(schema, name), (name,)}
            if type_name == "bool" and not memberships & _all_reads(known, oid):
                gates |= {(schema, name), (name,)}

    def relation(schema: str | None, name: str) -> int | None:
        there = by_name.get(name, {})
        return there.get(schema) if schema is not None else there.get("public", next(iter(there.values()), None))

    said = Known(
        relation,
        of_relation,
        lambda name: name[-2:] in callers or name[-1:] == ("current_setting",),
        lambda name: name[-2:] in gates,
    )
    return {
        oid: read_body(Body(name, language, text or "", tuple(arguments), tuple(types)), said)
        for oid, name, language, text, arguments, types in bodies
    }


def _all_reads(known: Mapping[int, FunctionFacts], oid: int) -> set[int]:
    """Return the relations that a function reads, directly or through the functions that it calls."""
    seen: set[int] = set()
    ahead = [oid]
    while ahead:
        at = ahead.pop()
        if at not in seen and at in known:
            seen.add(at)
            ahead += known[at].calls
    return {relation for each in seen for relation in known[each].reads}


def plain_backslashes(text: str) -> bool:
    """Whether a literal that is not written as E'…' contains a backslash. With standard_conforming_strings off, which every
    caller may set, the backslash escapes the next character."""
    return any(
        "\\" in (found["plain"] or "") or plain_backslashes(found["inner"] or "") for found in _LITERAL.finditer(text)
    )


def holds_secret(text: str) -> bool:
    """Whether a text contains a private key, a key of a known form, or a token other than the public one of anonymous clients."""
    return _KEY.search(text) is not None or any(not _for_visitors(payload) for payload in _TOKEN.findall(text))


def _for_visitors(payload: str) -> bool:
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return False
    return isinstance(claims, dict) and claims.get("role") == "anon"


def _filled(record: ClauseRecord | FunctionFacts) -> dict[str, object]:
    values = {each.name: getattr(record, each.name) for each in fields(record)}
    return {name: value for name, value in values.items() if value}


def read_functions(rows: Sequence[tuple[Any, ...]], relations: Sequence[tuple[Any, ...]]) -> tuple[FunctionFacts, ...]:
    """Return the facts of functions, from rows of the blocks `functions` and `relations`. Pure."""
    bodies = {row[0]: _COMMENT.sub(" ", row[3] or "") for row in rows}
    names = _Names((schema, name, oid) for oid, schema, name, *_ in rows)
    tables = _Names((schema, name, oid) for oid, schema, name in relations)
    mentioned = {oid: list(_chains(body)) for oid, body in bodies.items()}
    calls = {
        oid: {each for chain, called in chains if called for each in names.at_end(chain)} - {oid}
        for oid, chains in mentioned.items()
    }
    callers = _callers(rows, bodies, calls)
    return tuple(
        FunctionFacts(
            oid,
            caller=oid in callers,
            direct=oid in callers and not proretset and category not in ("B", "A", "P") and type_name != "record",
            reads=sorted({table for chain, _ in mentioned[oid] for table in tables.at_start(chain)}),
            calls=sorted(calls[oid]),
            settings=sorted(set(_SETTING.findall(bodies[oid]))),
            dynamic=_is_dynamic(bodies[oid]),
            editable=_EDITABLE.search(bodies[oid]) is not None,
            backslashes=plain_backslashes(bodies[oid]),
            secret=holds_secret(bodies[oid]),
        )
        for oid, _, _, _, _, proretset, type_name, category in rows
    )


def _callers(rows: Sequence[tuple[Any, ...]], bodies: Mapping[int, str], calls: Mapping[int, set[int]]) -> set[int]:
    """Return the functions that read the caller, and the functions that call them."""
    found = {
        oid
        for oid, schema, name, *_ in rows
        if (schema == "auth" and name in _CALLER_NAMES) or _SEED.search(bodies[oid])
    }
    while True:
        more = {oid for oid, called in calls.items() if oid not in found and called & found}
        if not more:
            return found
        found |= more


def _is_dynamic(body: str) -> bool:
    return any(
        ("||" in statement and not _QUOTED.search(statement)) or _UNQUOTED_FORMAT.search(statement) is not None
        for statement in _EXECUTE.findall(body)
    )


class _Names:
    """Oids by name, and by schema and name."""

    def __init__(self, entries: Iterable[tuple[str, str, int]]) -> None:
        self._by_name: dict[str, list[int]] = {}
        self._by_both: dict[tuple[str, str], list[int]] = {}
        for schema, name, oid in entries:
            self._by_name.setdefault(name, []).append(oid)
            self._by_both.setdefault((schema, name), []).append(oid)

    def at_end(self, chain: tuple[str, ...]) -> list[int]:
        """Resolve `schema.f`, or any `f`, to all functions of that name, since arguments are not read."""
        if len(chain) > 1:
            return self._by_both.get((chain[-2], chain[-1]), [])
        return self._by_name.get(chain[-1], [])

    def at_start(self, chain: tuple[str, ...]) -> list[int]:
        """Resolve `schema.table` or `schema.table.column`, otherwise any `table`, also before a column."""
        found = self._by_both.get((chain[0], chain[1]), []) if len(chain) > 1 else []
        return found or self._by_name.get(chain[0], [])


def _chains(body: str) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield the names in a text, split at dots, and whether an opening parenthesis follows."""
    for text, bracket in _CHAIN.findall(body):
        parts = tuple(
            part[1:-1].replace('""', '"') if part.startswith('"') else part.lower() for part in _PIECE.findall(text)
        )
        yield parts, bool(bracket)
