"""The table locks of each step, read from its SQL with PostgreSQL's own grammar, and what each mode makes others wait for.

Only tables that applications use are listed: those of the source, of schema auth, and of any other schema but the target's and
Tenantry's own. Nobody uses the target before the cut-over. Of a DO block every statement counts, whatever its conditions say;
statements inside functions are not read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pglast.parser import parse_sql_json

from tenantry.journal.names import JOURNAL
from tenantry.plan.do_blocks import UNKNOWN, statements_of
from tenantry.plan.model import Plan, Step

LockMode = Literal[
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
]
MODES: tuple[LockMode, ...] = (
    "ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)  # fmt: skip
"""PostgreSQL's table locks; the weakest first."""

BLOCKS: Mapping[LockMode, tuple[str, ...]] = {
    "ACCESS SHARE": ("DDL",),
    "ROW SHARE": ("DDL",),
    "ROW EXCLUSIVE": ("DDL",),
    "SHARE UPDATE EXCLUSIVE": ("DDL",),
    "SHARE": ("writes", "DDL"),
    "SHARE ROW EXCLUSIVE": ("writes", "DDL"),
    "EXCLUSIVE": ("writes", "DDL"),
    "ACCESS EXCLUSIVE": ("reads", "writes", "DDL"),
}
"""What waits while a lock is held: reads, writes, and changes of the table's definition (DDL)."""

Name = tuple[str, str]
"""(schema, table)"""


@dataclass(frozen=True, slots=True)
class TableLock:
    """A lock that a step takes on a table that applications use."""

    mode: LockMode
    schema: str
    table: str

    @property
    def blocks(self) -> tuple[str, ...]:
        return BLOCKS[self.mode]

    def to_json(self) -> dict[str, object]:
        return {"mode": self.mode, "schema": self.schema, "table": self.table, "blocks": list(self.blocks)}


def locks(plan: Plan) -> dict[str, tuple[TableLock, ...]]:
    """Return the locks of every step by its id; a table has one entry, with its strongest lock."""
    return _Locks(plan).all()


class _Locks:
    """Reads the locks of a plan's steps."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ours = {plan.target_schema, JOURNAL, "pg_catalog", "pg_temp", "information_schema"}
        if any(step.effect == "creates auth" for step in plan):
            self.ours.add("auth")
        self.referenced: dict[tuple[str, str, str], Name] = {}
        """The table that a foreign key refers to, by schema, table and the key's name."""

    def all(self) -> dict[str, tuple[TableLock, ...]]:
        found = {step.id: self._of(step) for step in self.plan}
        reads: dict[str | None, dict[Name, LockMode]] = {
            step.mapping: dict.fromkeys(found[step.id], "ACCESS SHARE") for step in self.plan if step.kind == "copy"
        }
        everything: dict[Name, LockMode] = {
            (step.locks[0], step.locks[1]): "ACCESS SHARE"
            for step in self.plan
            if step.effect == "captures" and step.locks
        }
        for step in self.plan:
            # These steps build their statements when they run.
            if step.kind == "verify":
                _merge(found[step.id], reads.get(step.mapping, everything))
            elif step.kind == "replay" or (step.kind == "check" and step.check != "catalog"):
                _merge(found[step.id], everything)
            elif step.kind == "cut over":
                _merge(found[step.id], dict.fromkeys(everything, "SHARE ROW EXCLUSIVE"))
        return {
            id: tuple(TableLock(mode, *name) for name, mode in sorted(taken.items())) for id, taken in found.items()
        }

    def _of(self, step: Step) -> dict[Name, LockMode]:
        taken: dict[Name, LockMode] = {}
        for text in step.sql:
            for statement in json.loads(parse_sql_json(text)).get("stmts", ()):
                body = statement["stmt"].get("DoStmt")
                for node in [statement["stmt"]] if body is None else statements_of(body):
                    for name, mode in self._statement(node):
                        if name[0] and name[0] not in self.ours and UNKNOWN not in name:
                            _merge(taken, {name: mode})
        return taken

    def _statement(self, node: Mapping[str, Any]) -> Iterator[tuple[Name, LockMode]]:
        ((kind, body),) = node.items()
        relation = _name(body.get("relation")) if isinstance(body, dict) else ("", "")
        match kind:
            case "AlterTableStmt":
                yield from self._alter(relation, body)
            case "CreateTrigStmt":
                yield relation, "SHARE ROW EXCLUSIVE"
            case "IndexStmt":
                yield relation, "SHARE UPDATE EXCLUSIVE" if body.get("concurrent") else "SHARE"
            case "CreateStmt":
                for part in _parts(body, "Constraint"):
                    if part.get("contype") == "CONSTR_FOREIGN":
                        yield _name(part["pktable"]), "SHARE ROW EXCLUSIVE"
            case "CreatePolicyStmt" | "AlterPolicyStmt":
                yield _name(body["table"]), "ACCESS EXCLUSIVE"
            case "DropStmt":
                yield from self._drop(body)
            case "RuleStmt" | "RenameStmt":
                yield relation, "ACCESS EXCLUSIVE"
            case "TruncateStmt":
                for each in body.get("relations", ()):
                    yield _name(each.get("RangeVar")), "ACCESS EXCLUSIVE"
            case "LockStmt":
                for each in body.get("relations", ()):
                    yield _name(each.get("RangeVar")), MODES[body["mode"] - 1]
            case "VacuumStmt":
                for each in _parts(body, "VacuumRelation"):
                    yield _name(each.get("relation")), "SHARE UPDATE EXCLUSIVE"
            case "CreateStatsStmt":
                for each in _parts(body, "RangeVar"):
                    yield _name(each), "SHARE UPDATE EXCLUSIVE"
            case "CommentStmt":
                for name in _named(body.get("objtype"), body.get("object", {})):
                    yield name, "SHARE UPDATE EXCLUSIVE"
            case (
                "InsertStmt"
                | "UpdateStmt"
                | "DeleteStmt"
                | "MergeStmt"
                | "SelectStmt"
                | "ViewStmt"
                | "CreateTableAsStmt"
            ):
                yield from _query(kind, body)

    def _alter(self, table: Name, body: Mapping[str, Any]) -> Iterator[tuple[Name, LockMode]]:
        for each in body.get("cmds", ()):
            command = each["AlterTableCmd"]
            kind = command.get("subtype", "AT_AddColumn")
            if kind == "AT_AddConstraint":
                constraint = command["def"]["Constraint"]
                if constraint.get("contype") == "CONSTR_FOREIGN":
                    other = _name(constraint["pktable"])
                    self.referenced[(*table, constraint.get("conname", ""))] = other
                    yield table, "SHARE ROW EXCLUSIVE"
                    yield other, "SHARE ROW EXCLUSIVE"
                else:
                    yield table, "ACCESS EXCLUSIVE"
            elif kind == "AT_ValidateConstraint":
                yield table, "SHARE UPDATE EXCLUSIVE"
                if (key := (*table, command.get("name", ""))) in self.referenced:
                    yield self.referenced[key], "ROW SHARE"
            elif kind == "AT_DropConstraint":
                yield table, "ACCESS EXCLUSIVE"
                if (key := (*table, command.get("name", ""))) in self.referenced:
                    yield self.referenced[key], "ACCESS EXCLUSIVE"
            else:
                yield table, _ALTER.get(kind, "ACCESS EXCLUSIVE")

    @staticmethod
    def _drop(body: Mapping[str, Any]) -> Iterator[tuple[Name, LockMode]]:
        for each in body.get("objects", ()):
            for name in _named(body.get("removeType"), each):
                yield name, "ACCESS EXCLUSIVE"


_ALTER: Mapping[str, LockMode] = {
    **dict.fromkeys(
        (
            "AT_EnableTrig", "AT_EnableAlwaysTrig", "AT_EnableReplicaTrig", "AT_EnableTrigAll", "AT_EnableTrigUser",
            "AT_DisableTrig", "AT_DisableTrigAll", "AT_DisableTrigUser",
        ),
        "SHARE ROW EXCLUSIVE",
    ),
    **dict.fromkeys(("AT_SetStatistics", "AT_ClusterOn", "AT_DropCluster"), "SHARE UPDATE EXCLUSIVE"),
}  # fmt: skip
"""Forms of ALTER TABLE that take less than ACCESS EXCLUSIVE, beside those for constraints."""


def _query(kind: str, body: Mapping[str, Any]) -> Iterator[tuple[Name, LockMode]]:
    """Return the locks of a statement on rows: what it writes, what it locks rows of, and what it reads."""
    if kind in ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"):
        yield _name(body["relation"]), "ROW EXCLUSIVE"
    if body.get("lockingClause"):
        for each in _parts(body.get("fromClause", ()), "RangeVar"):
            yield _name(each), "ROW SHARE"
    for inner in ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"):
        for each in _parts(body, inner):
            yield _name(each["relation"]), "ROW EXCLUSIVE"
    for each in _parts(body, "RangeVar"):
        yield _name(each), "ACCESS SHARE"


def _parts(node: object, kind: str) -> Iterator[Mapping[str, Any]]:
    """Return all nodes of a kind inside a node."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == kind:
                yield value
            yield from _parts(value, kind)
    elif isinstance(node, list):
        for each in node:
            yield from _parts(each, kind)


_ON_TABLES = ("OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE", "OBJECT_TABCONSTRAINT", "OBJECT_COLUMN")


def _named(kind: str | None, listed: Mapping[str, Any]) -> Iterator[Name]:
    """Return the table that a list of words names: a table, or an object of a table."""
    if kind == "OBJECT_TABLE" or kind in _ON_TABLES:
        words = [word["String"]["sval"] for word in listed.get("List", {}).get("items", ())]
        words = words[:-1] if kind in _ON_TABLES else words
        if len(words) >= 2:
            yield words[-2], words[-1]


def _name(relation: Mapping[str, Any] | None) -> Name:
    relation = relation or {}
    return str(relation.get("schemaname", "")), str(relation.get("relname", ""))


def _merge(into: dict[Name, LockMode], more: Mapping[Name, LockMode]) -> None:
    for name, mode in more.items():
        if name not in into or MODES.index(mode) > MODES.index(into[name]):
            into[name] = mode
