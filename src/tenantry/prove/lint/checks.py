"""The static checks: one .sql file each, whose rows are the violations.

The header of a file describes the check:

    -- title: the property that holds if nothing is found
    -- level: error, warning or info
    -- why: what an attacker gains
    -- fix: what to do
    -- uses: the parts of parts.sql that it needs
    -- needs: manifest, tenant, membership, login, definer, tenantry (a schema of that name), version 17: else not applicable
    -- proof: yes, if the proof of a manifest runs it too

The statement returns rows of (object, detail), with a third column `level` if it differs by row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, cast

import psycopg

from tenantry.access.left_tables import compare_left, read_left
from tenantry.mapping.project import LEGACY_ID, ROW_ID, Project
from tenantry.postgres import load_blocks, load_sql
from tenantry.prove.expected.shared_rows import meant
from tenantry.prove.lint.facts import LintFacts, gather_facts
from tenantry.prove.lint.scope import PLATFORM, Scope, manifest_scope
from tenantry.prove.model import Check

Level = Literal["error", "warning", "info"]
LEVELS: tuple[Level, ...] = ("error", "warning", "info")

_SQL = "tenantry.prove.lint.sql"
_AUDIT = ("created_at", "updated_at", "created_by", "updated_by")
_KEYS = ("title", "level", "why", "fix", "uses", "needs", "proof")


@dataclass(frozen=True, slots=True)
class CheckFile:
    """One check, as its file describes it. `needs` and `uses` are lists of words."""

    name: str
    title: str
    level: Level
    why: str
    fix: str
    uses: tuple[str, ...]
    needs: tuple[str, ...]
    proof: bool
    text: str

    def statement(self) -> str:
        """Return the whole statement: the used parts, then the check's own text."""
        return _with_parts(self.uses, _body(self.text))


@dataclass(frozen=True, slots=True)
class Violation:
    """One row of a check. `object` is empty if the detail is about the database or names a role."""

    object: str
    detail: str
    level: Level

    def __str__(self) -> str:
        return f"{self.object}: {self.detail}" if self.object else self.detail


@cache
def check_files() -> tuple[CheckFile, ...]:
    """Return every check of the folder, in name order."""
    names = sorted(
        file.name.removesuffix(".sql") for file in resources.files(_SQL).iterdir() if file.name.endswith(".sql")
    )
    return tuple(_read(name, load_sql(_SQL, name)) for name in names)


def check_text(name: str) -> str:
    """Return the SQL of one check as its file has it, for callers that run the query outside a lint."""
    return load_sql(_SQL, name)


def parameters(scope: Scope, facts: LintFacts) -> dict[str, Any]:
    """Return the parameters of the checks and their parts."""
    schema = scope.schemas[0] if scope.schemas else ""
    root, membership = scope.tenant, scope.membership
    return {
        "schemas": list(scope.schemas),
        "clients": list(scope.clients),
        "visitors": list(scope.visitors),
        "logins": list(scope.logins),
        "service": list(scope.service),
        "strict": scope.manifest,
        "members_closed": list(scope.members_closed),
        "tenant_tables": [oid for oid, _ in scope.tenant_columns],
        "tenant_numbers": [number for _, number in scope.tenant_columns],
        "tenant_words": sorted(_tenant_words(scope)),
        "root": root.relation if root else 0,
        "root_number": root.number if root else 0,
        "membership": membership.relation if membership else 0,
        "member_number": membership.user if membership else 0,
        "user_owned": scope.user_owned,
        "platform": [] if scope.manifest else sorted(PLATFORM - set(scope.schemas)),
        "clauses": facts.clauses,
        "functions": facts.functions,
        "schema": schema,
        "login": scope.login,
        "anon": next(iter(scope.visitors), ""),
        "definer": scope.definer,
        "protected": list(scope.protected),
    }


def _tenant_words(scope: Scope) -> set[str]:
    """Return the names of function arguments that mean a tenant: the column's, with and without `_id`, and the tenant table's."""
    names = {scope.tenant_column.lower()} | ({scope.tenant.table.lower()} if scope.tenant else set())
    found = {re.sub(r"_?(id|uuid|key)$", "", name) for name in names} | {"tenant"}
    found |= {name.removesuffix("s") for name in found}
    return {word + end for word in found if word for end in ("", "_id", "id", "_uuid", "_ids", "s")} | names - {""}


def reason_not_to_run(check: CheckFile, scope: Scope, version: int, schemas: Iterable[str]) -> str | None:
    """Return why a check does not apply to this database, or None.

    Args:
        version: the server's major version.
        schemas: all schemas of the database.
    """
    for need in check.needs:
        word, _, number = need.partition(" ")
        reason = {
            "manifest": None if scope.manifest else "there is no manifest with the intended access",
            "tenant": None if scope.tenant_columns else "no tenant column was found",
            "membership": None if scope.membership else "no table of memberships was found",
            "login": None if scope.login else "no login of the application is named",
            "definer": None if scope.definer else "no role of context functions is named",
            "tenantry": None if "tenantry" in schemas else "there is no schema tenantry",
            "storage": None if "storage" in schemas else "there is no schema storage",
            "version": None if version >= int(number or 0) else f"it is about PostgreSQL {number} and newer",
        }[word]
        if reason is not None:
            return reason
    return None


def with_parts_read(
    conn: psycopg.Connection[Any], checks: Iterable[CheckFile], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the parameters together with the rows of the parts that these checks use, as JSON."""
    found = dict(values)
    for name in _with_needed(dict.fromkeys(use for check in checks for use in check.uses)):
        if _columns(name):
            text = f"select coalesce(jsonb_agg(to_jsonb(part)), '[]')::text from ({_part(name)}) as part"
            row = conn.execute(_with_parts(_needs(name), text), found).fetchone()
            assert row is not None
            found[f"part_{name}"] = row[0]
    return found


def run_check(conn: psycopg.Connection[Any], check: CheckFile, values: Mapping[str, Any]) -> tuple[Violation, ...]:
    """Return the check's distinct rows, in their order.

    Args:
        values: the parameters, and the rows of the parts (`with_parts_read`).
    """
    cursor = conn.execute(check.statement(), values)
    names = [column.name for column in cursor.description or ()]
    found: dict[Violation, None] = {}
    for row in cursor.fetchall():
        said = dict(zip(names, row, strict=True))
        level = str(said.get("level") or check.level)
        detail = said.get("detail", said.get("violation"))
        found[Violation(str(said.get("object") or ""), str(detail), cast(Level, level))] = None
    return tuple(found)


def run_checks(conn: psycopg.Connection[Any], project: Project, login: str) -> tuple[Check, ...]:
    """Run the checks that belong to the proof of a manifest, in name order."""
    manifest = project.manifest
    scope = manifest_scope(conn, manifest, login=login, protected=[ROW_ID, LEGACY_ID, manifest.tenant.column, *_AUDIT])
    roles = manifest.database_roles
    facts = gather_facts(
        conn,
        scope.schemas,
        signed_in=[roles.authenticated],
        visitors=[roles.anon],
        membership=scope.membership.relation if scope.membership else None,
    )
    mine = [check for check in check_files() if check.proof]
    values = with_parts_read(conn, mine, parameters(scope, facts))
    found = tuple(
        Check(
            check.name,
            check.title,
            check.fix,
            tuple(
                str(violation)
                for violation in run_check(conn, check, values)
                if not meant(project, check.name, violation.object, violation.detail)
            ),
        )
        for check in mine
    )
    return (*found, *_left_tables(conn, project))


def _left_tables(conn: psycopg.Connection[Any], project: Project) -> Iterator[Check]:
    """The check of `[source.access]`: without policies, rights are all that decides about these tables."""
    if project.manifest.source.access:
        different = compare_left(project.manifest, read_left(conn, project.manifest))
        yield Check(
            "left_table_rights",
            "Clients have the decided rights on tables that are left where they are, and no others",
            "tenantry access diff lists the rights; grant or revoke them",
            tuple(f"{each.on}: {each.what} is {each.state}" for each in different),
        )


def _with_parts(uses: Iterable[str], own: str) -> str:
    """Return a statement with the parts that it refers to, directly or through others, as common table expressions."""
    texts: dict[str, str] = {}
    for name in reversed(_with_needed(uses)):
        if any(re.search(rf"\b{name}\b", text) for text in (own, *texts.values())):
            texts[name] = _stored(name) or _part(name)
    if not texts:
        return own
    ctes = ",\n".join(f"{name} as (\n{texts[name]}\n)" for name in reversed(texts))
    begun = re.match(r"with\s+(recursive\s+)?", own)
    return f"with recursive {ctes},\n{own[begun.end() :]}" if begun else f"with recursive {ctes}\n{own}"


def _with_needed(names: Iterable[str]) -> tuple[str, ...]:
    """Return the parts and the parts that they need, in the order of the file."""
    wanted: set[str] = set()

    def add(name: str) -> None:
        if name not in wanted:
            wanted.add(name)
            for need in _needs(name):
                add(need)

    for name in names:
        add(name)
    return tuple(name for name in load_blocks("tenantry.prove.lint", "parts") if name in wanted)


def _part(name: str) -> str:
    return load_blocks("tenantry.prove.lint", "parts")[name]


@cache
def _needs(name: str) -> tuple[str, ...]:
    return _words(_header(_part(name), "needs"))


@cache
def _columns(name: str) -> str:
    """Return the columns, with types, of a part whose rows are read once; empty for other parts."""
    return _header(_part(name), "rows")


def _stored(name: str) -> str:
    """Return the query of the rows of a part that were read; empty for parts that are queried each time."""
    columns = _columns(name)
    return f"select * from jsonb_to_recordset(%(part_{name})s::jsonb) as stored ({columns})" if columns else ""


def _read(name: str, text: str) -> CheckFile:
    header = {key: _header(text, key) for key in _KEYS}
    if header["level"] not in LEVELS:
        raise ValueError(f"{name}.sql: level {header['level']!r} is none of {', '.join(LEVELS)}")
    return CheckFile(
        name,
        header["title"],
        header["level"],
        header["why"],
        header["fix"],
        _words(header["uses"]),
        _words(header["needs"]),
        header["proof"] == "yes",
        text,
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _header(text: str, key: str) -> str:
    """Return the value of a `-- key: value` line, with the comment lines that continue it."""
    found: list[str] = []
    for line in text.splitlines():
        if line.startswith(f"-- {key}:"):
            found.append(line.removeprefix(f"-- {key}:").strip())
        elif found and line.startswith("--   "):
            found.append(line.removeprefix("--").strip())
        elif found:
            break
    return " ".join(found)


def _body(text: str) -> str:
    """Return the statement without the comments before it."""
    lines = text.splitlines()
    start = next(index for index, line in enumerate(lines) if line.strip() and not line.startswith("--"))
    return "\n".join(lines[start:])
