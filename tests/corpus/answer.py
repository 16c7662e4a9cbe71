"""The known answer of a schema: what an analysis without a manifest should say about it. README.md describes answer.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

Kind = Literal[
    "tenant", "users", "membership", "join", "lookup", "log", "credentials", "framework", "data"
]  # fmt: skip
Form = Literal["value", "element", "json", "json_key", "embedded"]
TenantForm = Literal["table", "person", "column", "constant"]
Holds = Literal["number", "date", "timestamp", "boolean", "json", "enumeration"]
HOLDS = get_args(Holds)


@dataclass(frozen=True, order=True)
class Column:
    table: str
    name: str

    def __str__(self) -> str:
        return f"{self.table}.{self.name}"


@dataclass(frozen=True)
class Tenant:
    """Who the tenants are: the rows of a table, each person, the distinct values of a column, or one constant."""

    form: TenantForm
    table: str | None = None
    column: str | None = None


@dataclass(frozen=True)
class Users:
    table: str
    email: str | None
    password: Column | None
    """Where the password's hash stands, perhaps in another table; none where nobody has a password."""


@dataclass(frozen=True)
class TableAnswer:
    name: str
    kind: Kind
    path: tuple[str, ...] | None
    """Columns that lead from a row to its tenant: "project_id" follows that reference, "<members.user_id" goes against the direction of
    one, "data:project.id" is a place in a document. The last one's parent is the tenant (or its value is, where the tenant is a column).
    Behind a polymorphic pair stands the path of its first parent; the others go on by their own.
    Empty: the row is the tenant's own. None: it has no tenant."""
    fallback: tuple[str, ...] | None
    """Likewise, for rows on which the path is null: to the person whose own tenant the row then belongs to."""


@dataclass(frozen=True)
class ReferenceAnswer:
    """A reference that no foreign key states."""

    column: Column
    form: Form
    parent: str
    key: str
    """The parent's column whose values are meant."""
    path: str | None
    """In JSON: "$" is the root, "[*]" each element, ".name" a member, ".*" each member's value. For json_key: the object with the keys."""
    pattern: str | None
    """The text around an id, "{}" in its place; anything may stand before and after."""
    when: tuple[str, str] | None
    """The column beside it, and its value in the rows that mean this parent."""


@dataclass(frozen=True)
class Answer:
    title: str
    tenant: Tenant
    acceptable: tuple[Tenant, ...]
    """Roots that are not the best, but can be argued for."""
    users: Users | None
    tables: Mapping[str, TableAnswer]
    references: tuple[ReferenceAnswer, ...]
    unproven: tuple[ReferenceAnswer, ...]
    """Likewise, of tables without rows: nothing but a name says so."""
    external: frozenset[Column]
    """Ids of other systems."""
    decoys: frozenset[Column]
    """Columns that look like references and are none."""
    text: Mapping[Holds, frozenset[Column]]
    """Text columns that hold something else."""


def _column(text: str) -> Column:
    table, _, name = text.rpartition(".")
    return Column(table, name)


def _columns(texts: list[str]) -> frozenset[Column]:
    return frozenset(map(_column, texts))


def _tuple(value: list[str] | str | None) -> tuple[str, ...] | None:
    if isinstance(value, str) or value is None:
        return None
    return tuple(value)


def _tenant(told: Mapping[str, str]) -> Tenant:
    form = told["form"]
    assert form in get_args(TenantForm), form
    return Tenant(cast(TenantForm, form), told.get("table"), told.get("column"))


def _table(name: str, told: Mapping[str, Any]) -> TableAnswer:
    assert told["kind"] in get_args(Kind), (name, told["kind"])
    assert told["path"] == "none" or isinstance(told["path"], list), (name, told["path"])
    return TableAnswer(name, told["kind"], _tuple(told["path"]), _tuple(told.get("fallback")))


def _reference(told: Mapping[str, Any]) -> ReferenceAnswer:
    form, when = told.get("form", "value"), told.get("when")
    assert form in get_args(Form), form
    return ReferenceAnswer(
        Column(told["table"], told["column"]),
        form,
        told["parent"],
        told.get("key", "id"),
        told.get("path"),
        told.get("pattern"),
        (when[0], when[1]) if when else None,
    )


def read_answer(file: Path) -> Answer:
    told = tomllib.loads(file.read_text())
    users = told.get("users")
    return Answer(
        told["title"],
        _tenant(told["tenant"]),
        tuple(map(_tenant, told["tenant"].get("acceptable", []))),
        Users(users["table"], users.get("email"), _column(users["password"]) if "password" in users else None)
        if users
        else None,
        {name: _table(name, one) for name, one in told["tables"].items()},
        tuple(map(_reference, told.get("references", []))),
        tuple(map(_reference, told.get("unproven", []))),
        _columns(told.get("external", [])),
        _columns(told.get("decoys", [])),
        {holds: _columns(told.get("text", {}).get(holds, [])) for holds in HOLDS},
    )
