"""Parses a script of functions and grants into its result, with which a live database is compared. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pglast
from pglast import ast
from pglast.enums import ObjectType, RoleSpecType

from tenantry.catalog import PUBLIC


@dataclass(frozen=True, slots=True)
class ScriptFunction:
    """A function that a script makes. `owner` is set if the script makes it under SET ROLE."""

    schema: str
    name: str
    arguments: tuple[str, ...]
    body: str
    definer: bool = False
    volatility: str = "volatile"
    parallel: str = "unsafe"
    config: tuple[str, ...] = ()
    owner: str | None = None

    @property
    def signature(self) -> str:
        return f"{self.schema}.{self.name}({', '.join(self.arguments)})"


@dataclass(slots=True)
class Script:
    """Functions, and rights by object: a schema's name, `schema.table`, or a function's signature → {(role, RIGHT, column)}."""

    functions: dict[str, ScriptFunction] = field(default_factory=dict)
    rights: dict[str, set[tuple[str, str, str | None]]] = field(default_factory=dict)


def read_script(texts: Iterable[str]) -> Script:
    """Return the result of the statements; DO blocks are skipped, except that one may end a SET ROLE."""
    script = Script()
    role: str | None = None
    for text in texts:
        for raw in pglast.parse_sql(text):
            statement = raw.stmt
            if isinstance(statement, ast.VariableSetStmt) and statement.name == "role":
                role = _constant(statement.args[0]) if statement.args else None
            elif isinstance(statement, ast.DoStmt) and "set_config('role'" in str(_option(statement.args, "as")):
                role = None
            elif isinstance(statement, ast.CreateFunctionStmt):
                made = _function(statement, role)
                script.functions[made.signature] = made
            elif isinstance(statement, ast.GrantStmt):
                _grant(script, statement)
    return script


def _constant(node: Any) -> str:
    return str(node.val.sval)


def _option(options: Sequence[Any] | None, name: str) -> Any:
    return next((option.arg for option in options or () if option.defname == name), None)


def _function(statement: Any, role: str | None) -> ScriptFunction:
    schema, name = (part.sval for part in statement.funcname)
    text = _option(statement.options, "as")
    # In the catalog's order.
    settings = sorted(
        f"{option.arg.name}={', '.join(_constant(value) for value in option.arg.args)}"
        for option in statement.options
        if option.defname == "set"
    )
    volatility, parallel = _option(statement.options, "volatility"), _option(statement.options, "parallel")
    definer = _option(statement.options, "security")
    return ScriptFunction(
        schema,
        name,
        tuple(_type(parameter.argType) for parameter in statement.parameters or ()),
        text[0].sval,
        definer is not None and bool(definer.boolval),
        "volatile" if volatility is None else volatility.sval,
        "unsafe" if parallel is None else parallel.sval,
        tuple(settings),
        role,
    )


def _type(node: Any) -> str:
    return str(node.names[-1].sval) + "[]" * len(node.arrayBounds or ())


def _grant(script: Script, statement: Any) -> None:
    roles = [PUBLIC if role.roletype == RoleSpecType.ROLESPEC_PUBLIC else role.rolename for role in statement.grantees]
    wanted: set[tuple[str, str, str | None]] = set()
    for privilege in statement.privileges or ():
        columns = [column.sval for column in privilege.cols] if privilege.cols else [None]
        wanted |= {(role, privilege.priv_name.upper(), column) for role in roles for column in columns}
    for thing in statement.objects:
        name = _object(statement.objtype, thing)
        held = script.rights.setdefault(name, set())
        if statement.is_grant:
            held |= wanted
        elif statement.privileges is None:
            held -= {right for right in held if right[0] in roles}
        else:
            held -= wanted


def _object(kind: Any, thing: Any) -> str:
    if kind in (ObjectType.OBJECT_FUNCTION, ObjectType.OBJECT_PROCEDURE):
        arguments = ", ".join(_type(argument) for argument in thing.objargs or ())
        return f"{'.'.join(part.sval for part in thing.objname)}({arguments})"
    if kind == ObjectType.OBJECT_SCHEMA:
        return str(thing.sval)
    return f"{thing.schemaname}.{thing.relname}"
