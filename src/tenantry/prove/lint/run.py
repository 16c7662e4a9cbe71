"""Runs all static checks on any database: findings, exceptions with reasons, and checks that do not apply. Read-only."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import psycopg

from tenantry.errors import SettingsError, nearest
from tenantry.manifest.model import Manifest
from tenantry.mapping.project import LEGACY_ID, ROW_ID
from tenantry.prove.baseline import REASON, fingerprint
from tenantry.prove.faults import faults
from tenantry.prove.formats import Result, SarifRule
from tenantry.prove.lint.checks import (
    LEVELS,
    Level,
    check_files,
    parameters,
    reason_not_to_run,
    run_check,
    with_parts_read,
)
from tenantry.prove.lint.facts import gather_facts
from tenantry.prove.lint.scope import SIGNED_IN, Scope, Sought, discover, manifest_scope

EXCEPTIONS = "tenantry-lint.toml"
"""The file of exceptions, next to the manifest or in the working directory."""

_AUDIT = ("created_at", "updated_at", "created_by", "updated_by")
_GROUP = "lint"


@dataclass(frozen=True, slots=True)
class LintFinding:
    """One finding of a check. `object` is empty if the detail is about the database or a role."""

    check: str
    level: Level
    title: str
    object: str
    detail: str
    fix: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.level}: {self.check}: {self.object}{': ' if self.object else ''}{self.detail}"


@dataclass(frozen=True, slots=True)
class Allowed:
    """An exception: findings of a check on objects that match a glob are accepted, with the reason."""

    check: str
    object: str
    reason: str

    def covers(self, finding: LintFinding) -> bool:
        return self.check == finding.check and fnmatchcase(finding.object or "-", self.object)

    def __str__(self) -> str:
        return f"{self.check} on {self.object} ({self.reason})"


@dataclass(frozen=True, slots=True)
class Lint:
    """The result of the static checks of a database.

    Attributes:
        findings: findings without an exception, the worst first.
        allowed: accepted findings, with their exceptions.
        checks: names of the checks that ran.
        not_applicable: names of the checks that did not run, with the reason.
        unused: exceptions without a finding.
        unread: conditions that could not be parsed; checks of conditions do not cover them.
        scope: what was inspected, and how it was discovered.
    """

    findings: tuple[LintFinding, ...]
    checks: tuple[str, ...]
    not_applicable: tuple[tuple[str, str], ...]
    scope: Scope
    allowed: tuple[tuple[LintFinding, Allowed], ...] = ()
    unused: tuple[Allowed, ...] = ()
    unread: tuple[str, ...] = ()
    seconds: float = 0
    rules: tuple[SarifRule, ...] = field(default=(), repr=False)

    @property
    def passed(self) -> bool:
        """Whether no error remains."""
        return not any(finding.level == "error" for finding in self.findings)

    @property
    def counts(self) -> dict[str, int]:
        return {
            **{level: sum(finding.level == level for finding in self.findings) for level in LEVELS},
            "allowed": len(self.allowed),
            "checks": len(self.checks),
            "not applicable": len(self.not_applicable),
        }

    def results(self) -> tuple[Result, ...]:
        """Return each finding, each check without one, each check that did not apply, and each condition that was not parsed."""
        failed = {finding.check for finding in self.findings}
        return (
            *(Result(each.check, _GROUP, each.object, "failed", each.detail, each.level) for each in self.findings),
            *(Result(name, _GROUP, "", "passed") for name in self.checks if name not in failed),
            *(Result(name, _GROUP, "", "not applicable", reason, "info") for name, reason in self.not_applicable),
            *(Result("policy_condition", _GROUP, "", "not tried", reason, "warning") for reason in self.unread),
        )

    def to_json(self) -> dict[str, object]:
        scope = asdict(self.scope)
        return {
            "passed": self.passed,
            "counts": self.counts,
            "findings": [asdict(finding) for finding in self.findings],
            "faults": [asdict(fault) for fault in faults(self.results(), self.rules)],
            "allowed": [{**asdict(finding), "reason": by.reason} for finding, by in self.allowed],
            "unused_exceptions": [asdict(each) for each in self.unused],
            "checks": list(self.checks),
            "not_applicable": [{"check": name, "reason": reason} for name, reason in self.not_applicable],
            "not_read": list(self.unread),
            "scope": scope,
            "seconds": round(self.seconds, 3),
        }


def run_lint(
    conn: psycopg.Connection[Any],
    *,
    manifest: Manifest | None = None,
    scope: Scope | None = None,
    sought: Sought | None = None,
    exceptions: Sequence[Allowed] = (),
    only: Iterable[str] | None = None,
    baseline: Collection[str] = (),
) -> Lint:
    """Run every applicable check, in a read-only transaction that is rolled back.

    Args:
        conn: any login that may read the catalog; no rights on the tables are needed.
        manifest: the intended access, if there is one; otherwise it is discovered, and `scope.sentences` say how.
        scope: what to inspect, instead of the manifest's or the discovered scope.
        sought: overrides what discover() would find.
        only: names of the checks to run; by default all.
        baseline: fingerprints of accepted findings (tenantry.prove.baseline).

    Raises:
        SettingsError: an exception, or `only`, names a check that does not exist.
    """
    started = time.monotonic()
    files = check_files()
    _check_names([each.check for each in exceptions], "an exception")
    chosen = None if only is None else set(only)
    _check_names(chosen or (), "--check")
    with conn.transaction(force_rollback=True):
        # No user-defined object may shadow PostgreSQL's own, and every name is printed with its schema.
        conn.execute("set local search_path = pg_catalog, pg_temp")
        conn.execute("set transaction read only")
        conn.execute("set local jit = off")
        if scope is None and manifest is not None:
            scope = manifest_scope(conn, manifest, protected=[ROW_ID, LEGACY_ID, manifest.tenant.column, *_AUDIT])
        if scope is None:
            given = sought or Sought()
            scope = discover(conn, schemas=given.schemas, roles=given.roles, tenant_column=given.tenant_column)
        signed_in = [name for name in scope.clients if name not in scope.visitors and name not in scope.logins]
        facts = gather_facts(
            conn,
            scope.schemas,
            signed_in=[*signed_in, SIGNED_IN],
            visitors=scope.visitors,
            membership=scope.membership.relation if scope.membership else None,
        )
        there = {str(row[0]) for row in conn.execute("select nspname::text from pg_namespace").fetchall()}
        version = conn.info.server_version // 10000
        asked = [check for check in files if chosen is None or check.name in chosen]
        reasons = {check.name: reason_not_to_run(check, scope, version, there) for check in asked}
        passed_over = [(name, reason) for name, reason in reasons.items() if reason is not None]
        runs = [check for check in asked if reasons[check.name] is None]
        values = with_parts_read(conn, runs, parameters(scope, facts))
        found = [
            LintFinding(check.name, each.level, check.title, each.object, each.detail, check.fix, check.why)
            for check in runs
            for each in run_check(conn, check, values)
        ]
    standing: list[LintFinding] = []
    excepted: list[tuple[LintFinding, Allowed]] = []
    for each in found:
        by = next((allowed for allowed in exceptions if allowed.covers(each)), None)
        if by is None and fingerprint(each.check, each.object, each.detail) in baseline:
            by = Allowed(each.check, each.object, REASON)
        if by is None:
            standing.append(each)
        else:
            excepted.append((each, by))
    return Lint(
        tuple(sorted(standing, key=_order)),
        tuple(check.name for check in runs),
        tuple(passed_over),
        scope,
        tuple(excepted),
        tuple(allowed for allowed in exceptions if not any(allowed.covers(finding) for finding in found)),
        facts.unread,
        time.monotonic() - started,
        tuple(SarifRule(check.name, check.title, check.level, check.why, check.fix) for check in files),
    )


def _order(finding: LintFinding) -> tuple[int, str, str, str]:
    return (LEVELS.index(finding.level), finding.check, finding.object, finding.detail)


def _check_names(names: Iterable[str], where: str) -> None:
    known = [check.name for check in check_files()]
    for name in names:
        if name not in known:
            near = nearest(name, known)
            raise SettingsError(
                f"{where} names the check {name!r}, which does not exist.",
                hint=(f"Did you mean {near!r}? " if near else "") + "docs/reference/checks.md lists all of them.",
            )


# -- exceptions --------------------------------------------------------------------------------------------------------


def find_exceptions(folder: Path) -> tuple[Allowed, ...]:
    """Load the exceptions in `tenantry-lint.toml` of a folder; none if there is no such file."""
    path = folder / EXCEPTIONS
    return load_exceptions(path) if path.exists() else ()


def load_exceptions(path: Path) -> tuple[Allowed, ...]:
    """Load exceptions from a file of `[[allow]]` tables with check, object (a glob) and reason.

    Raises:
        SettingsError: the file cannot be read, or has another content.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"There is no file {path}.", hint="Give a file of exceptions with --exceptions.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"The exceptions {path} cannot be read: {error}.", hint="Fix the file.") from None
    entries = data.get("allow", [])
    if set(data) - {"allow"} or not isinstance(entries, list):
        raise SettingsError(f"{path} contains more than [[allow]] tables.", hint=_FORM)
    return tuple(_allowed(path, number, entry) for number, entry in enumerate(entries, start=1))


_FORM = 'Write each exception as [[allow]] with check = "…", object = "schema.table*" and reason = "…".'


def _allowed(path: Path, number: int, entry: object) -> Allowed:
    if (
        not isinstance(entry, dict)
        or set(entry) != {"check", "object", "reason"}
        or not all(isinstance(value, str) and value.strip() for value in entry.values())
    ):
        raise SettingsError(
            f"{path}: exception {number} must have check, object and reason, and nothing else.", hint=_FORM
        )
    return Allowed(entry["check"], entry["object"], entry["reason"])
