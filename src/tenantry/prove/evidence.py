"""The whole proof of one database: lint, matrix and attacks, with a table of what was covered, passed, failed or left out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

import psycopg

from tenantry.catalog import read_catalog
from tenantry.dbcopy.maker import CopyOptions, CopyReports
from tenantry.errors import SettingsError, nearest
from tenantry.manifest import Manifest
from tenantry.mapping.check_access import resolve_access
from tenantry.mapping.project import Project
from tenantry.migrate.apply_access import has_writes
from tenantry.postgres import connect, normalise_dsn, with_parameters
from tenantry.prove.attacks.harness.accepted import INHERENT
from tenantry.prove.attacks.harness.copy import attack_copy
from tenantry.prove.attacks.harness.model import AttackResult
from tenantry.prove.attacks.harness.world import AttackedDatabase
from tenantry.prove.attacks.run import ATTACKS, ask_rights, run_attacks
from tenantry.prove.baseline import REASON, fingerprint
from tenantry.prove.fixtures.synthetic import schema_copy
from tenantry.prove.formats import Outcome, Result, SarifRule
from tenantry.prove.lint.checks import check_files
from tenantry.prove.lint.run import Allowed, Lint, run_lint
from tenantry.prove.lint.scope import Sought, discover
from tenantry.prove.matrix.executor import Progress
from tenantry.prove.matrix.prove import prove
from tenantry.prove.matrix.without_manifest import MATRIX, prove_found
from tenantry.prove.model import Cell, Proof

Part = Literal["lint", "matrix", "attacks"]
PARTS: tuple[Part, ...] = ("lint", "matrix", "attacks")

Mode = Literal["in place", "over a login", "on a copy"]


_OUTCOMES: tuple[Outcome, ...] = ("passed", "failed", "not applicable", "not tried")


@dataclass(frozen=True, slots=True)
class Covered:
    """One line of the summary: the size of one part, and its results."""

    part: str
    counts: Mapping[Outcome, int]
    accepted: int
    said: str
    """How the part was checked, or why it was not."""

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class ProofEvidence:
    """All results of a proof.

    Attributes:
        database: its name.
        mode: where the statements ran.
        lint, matrix, attacks: the results of each part; None (or empty) if it was left out, with the reason in `left_out`.
        accepted: cells of the matrix whose failure an exception allows, with its reason.
        left_out: part → why it was left out.
        scope: how tenants, roles and memberships were discovered, in sentences.
        notes: what a copy lacks, what a rollback leaves behind, and what could not be removed.
    """

    name: str
    database: str
    server: str
    mode: Mode
    lint: Lint | None = None
    matrix: Proof | None = None
    attacks: tuple[AttackResult, ...] = ()
    accepted: Mapping[Cell, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    scope: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def failures(self) -> tuple[Cell, ...]:
        """The cells that contradict the matrix, without the accepted ones."""
        return tuple(cell for cell in (self.matrix.failures if self.matrix else ()) if cell not in self.accepted)

    @property
    def unproved(self) -> str:
        """Why the tried statements proved nothing; empty if they did, or if none were to be tried."""
        return self.matrix.unproved if self.matrix is not None else ""

    @property
    def passed(self) -> bool:
        """Whether everything requested was tried, and no error of the lint, no failed cell and no successful attack remains."""
        return (
            (self.lint is None or self.lint.passed)
            and not self.failures
            and not self.unproved
            and not any(each.failed for each in self.attacks)
        )

    def results(self) -> tuple[Result, ...]:
        """Every single check, attempt and omission."""
        return (
            *(self.lint.results() if self.lint else ()),
            *self._of_matrix(),
            *(_of_attack(each) for each in self.attacks),
            *(Result(part, part, "", "not tried", reason, "info") for part, reason in self.left_out.items()),
        )

    def _of_matrix(self) -> Iterable[Result]:
        if self.matrix is None:
            return
        for check in self.matrix.checks:
            yield Result(check.name, "matrix", "", "passed" if check.passed else "failed", "; ".join(check.violations))
        for cell in self.matrix.cells:
            name = cell_name(cell)
            if cell.passed:
                yield Result(name, "matrix", cell.table, "passed")
            elif cell.got == "not tried":
                yield Result(name, "matrix", cell.table, "not tried", cell.detail, "info")
            else:
                said = f"expected {cell.expected}, got {cell.got}" + (f" ({cell.detail})" if cell.detail else "")
                reason = self.accepted.get(cell)
                if reason is None:
                    yield Result(name, "matrix", cell.table, "failed", said)
                else:
                    yield Result(name, "matrix", cell.table, "failed", f"{said}; accepted: {reason}", "info")

    def rules(self) -> tuple[SarifRule, ...]:
        """The descriptions of the names in the results."""
        found = [*(self.lint.rules if self.lint else ())]
        found += [SarifRule(each.attack.name, each.attack.tries, "error", each.attack.gains) for each in self.attacks]
        return tuple(found)

    def covered(self) -> tuple[Covered, ...]:
        """The summary: coverage and results by part."""
        lines = []
        if self.lint is not None:
            lines.append(self._line("lint", f"{len(self.lint.checks)} checks of the catalog", len(self.lint.allowed)))
        if self.matrix is not None:
            lines.append(self._line("matrix", self.matrix.login, len(self.accepted)))
        if self.attacks:
            tried = any(each.by == "trial" for each in self.attacks)
            said = "tried, over a real login" if tried else "the catalog was asked for the rights that would allow them"
            broken = sum(bool(each.accepted) and each.outcome == "broken" for each in self.attacks)
            lines.append(self._line("attacks", said, broken))
        lines += [Covered(part, {}, 0, reason) for part, reason in self.left_out.items()]
        return tuple(lines)

    def _line(self, part: str, said: str, accepted: int) -> Covered:
        counts: Counter[Outcome] = Counter()
        for result in self.results():
            if result.group == part and (result.name != part or result.object):
                # Findings below level error are reported, but do not count as failures.
                counts["passed" if result.outcome == "failed" and not result.counts else result.outcome] += 1
        return Covered(part, {outcome: counts[outcome] for outcome in _OUTCOMES}, accepted, said)

    def to_json(self) -> dict[str, object]:
        return {
            "passed": self.passed,
            "unproved": self.unproved,
            "name": self.name,
            "database": self.database,
            "server": self.server,
            "mode": self.mode,
            "seconds": round(self.seconds, 3),
            "summary": [
                {"part": line.part, "covered": line.total, **line.counts, "accepted": line.accepted, "how": line.said}
                for line in self.covered()
            ],
            "scope": list(self.scope),
            "notes": list(self.notes),
            "lint": self.lint.to_json() if self.lint else None,
            "matrix": self.matrix.to_json() if self.matrix else None,
            "attacks": [each.to_json() for each in self.attacks],
            "accepted": [{"cell": str(cell), "reason": reason} for cell, reason in self.accepted.items()],
            "left_out": dict(self.left_out),
        }


def cell_name(cell: Cell) -> str:
    """Return caller, command, table and relation of a cell, as its name."""
    return f"{cell.role}: {cell.command} {cell.relation}"


def _of_attack(each: AttackResult) -> Result:
    name = each.attack.name
    if each.outcome == "held":
        return Result(name, "attacks", "", "passed", each.evidence)
    if each.outcome == "not applicable":
        return Result(
            name, "attacks", "", "not applicable" if each.by == "trial" else "not tried", each.evidence, "info"
        )
    if each.outcome == "broken" and each.accepted:
        return Result(name, "attacks", "", "failed", f"{each.evidence}; accepted: {each.accepted}", "info")
    said = each.evidence if each.outcome == "broken" else f"could not be judged: {each.evidence}"
    return Result(name, "attacks", "", "failed", said)


# -- exceptions --------------------------------------------------------------------------------------------------------


def lint_exceptions(exceptions: Sequence[Allowed]) -> tuple[Allowed, ...]:
    """Return the exceptions about the lint; exceptions about attacks and cells belong to the proof.

    Raises:
        SettingsError: one names neither a check, nor an attack, nor the matrix.
    """
    checks = {each.name for each in check_files()}
    others = {MATRIX, *(each.name for each in ATTACKS)}
    for each in exceptions:
        if each.check not in checks | others:
            near = nearest(each.check, [*checks, *others])
            raise SettingsError(
                f"An exception names the check {each.check!r}, which does not exist.",
                hint=(f"Did you mean {near!r}? " if near else "")
                + "docs/reference/checks.md lists the checks, docs/reference/attacks.md the attacks.",
            )
    return tuple(each for each in exceptions if each.check in checks)


def accepted_cells(
    proof: Proof | None, exceptions: Sequence[Allowed], baseline: Collection[str] = ()
) -> dict[Cell, str]:
    """Return the failed cells that an exception or the baseline accepts, with the reason."""
    mine = [each for each in exceptions if each.check == MATRIX]
    known = {
        cell: REASON
        for cell in (proof.failures if proof else ())
        if fingerprint(cell_name(cell), cell.table, "") in baseline
    }
    return known | {
        cell: each.reason
        for cell in (proof.failures if proof else ())
        for each in mine
        if fnmatchcase(f"{cell.table} {cell.command} {cell.role} {cell.relation}", each.object)
        or fnmatchcase(cell.table, each.object)
    }


def accepted_attacks(exceptions: Sequence[Allowed]) -> dict[str, str]:
    """Return attack → the reason why these exceptions accept its success."""
    names = {each.name for each in ATTACKS}
    return {each.check: each.reason for each in exceptions if each.check in names}


# -- gathering ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProofOptions:
    """What is proved, and how.

    Attributes:
        parts: of the proof; by default all.
        on_copy: make a copy, which is removed afterwards; rows are committed there, and attacks are executed.
        copy: where the copy is made.
        exceptions: intended findings, with reasons (see tenantry.prove.lint.run.load_exceptions).
        baseline: fingerprints of known, accepted findings (see tenantry.prove.baseline).
        strict: attacks that PostgreSQL allows every caller (tenantry.prove.attacks.harness.accepted) fail the proof too.
        progress: is called with the progress of each part.
        notice: is called with each sentence for people.
    """

    parts: Collection[Part] = PARTS
    on_copy: bool = False
    copy: CopyOptions = field(default_factory=CopyOptions)
    exceptions: Sequence[Allowed] = ()
    baseline: Collection[str] = ()
    strict: bool = False
    progress: Progress | None = None
    notice: Callable[[str], None] = lambda _text: None


def gather(
    project: Project,
    *,
    owner_dsn: str,
    login_dsn: str | None = None,
    writes: bool = True,
    options: ProofOptions | None = None,
) -> ProofEvidence:
    """Prove a database against its manifest.

    In place (the default) only the traces of a rollback remain: the catalog is read, the matrix runs in one
    transaction of the owner, and the catalog is asked which attacks a right would allow. On a copy, made and removed here,
    rows are committed, the matrix runs over a login like the application's, and every attack is tried.

    Args:
        owner_dsn: a login that is, or may act as, the owner of the target's tables; for a copy it must be able to create databases.
        login_dsn: the application's login, to run the matrix over it on the database itself.
        writes: False before the cut-over, when every write of a client must be refused.

    Raises:
        TenantryError: a part could not run; nothing is left behind.
    """
    started, options = time.monotonic(), options or ProofOptions()
    exceptions, baseline, parts = options.exceptions, options.baseline, options.parts
    of_lint = lint_exceptions(exceptions)
    known = {each.name: REASON for each in ATTACKS if any(one.startswith(f"{each.name}|") for one in baseline)}
    accepted = {**({} if options.strict else INHERENT), **known, **accepted_attacks(exceptions)}
    left_out: dict[str, str] = {part: "left out, as asked for" for part in PARTS if part not in parts}
    notes: list[str] = []
    lint: Lint | None = None
    matrix: Proof | None = None
    attacks: tuple[AttackResult, ...] = ()
    left: list[str] = []
    # The lint reads the catalog of the database itself.
    copied = options.on_copy and bool({"matrix", "attacks"} & set(parts))
    with connect(owner_dsn, name="tenantry proof") as owner:
        database, server = owner.info.dbname, _version(owner)
        if "lint" in parts:
            lint = run_lint(owner, manifest=project.manifest, exceptions=of_lint, baseline=baseline)
        if "attacks" in parts and not options.on_copy:
            attacks = ask_rights(owner, project, accepted=accepted)
    with ExitStack() as stack:
        owned, login = owner_dsn, login_dsn
        if copied:
            copy = stack.enter_context(
                attack_copy(project, owner_dsn, options.copy, CopyReports(options.notice, left=left))
            )
            owned, login = copy.owner_dsn, copy.login_dsn
            notes += [f"the copy: {copy.method}", *copy.notes]
        if "matrix" in parts:
            found = prove(project, owner_dsn=owned, login_dsn=login, writes=writes, progress=options.progress)
            lint_has = {each.name for each in check_files()}
            matrix = replace(found, checks=tuple(each for each in found.checks if each.name not in lint_has))
            notes += found.notes
        if "attacks" in parts and options.on_copy:
            assert login is not None
            attacks = run_attacks(
                project, AttackedDatabase(owned, login, own_login=True), accepted=accepted, progress=options.progress
            )
    notes += [f"could not be removed: {each}" for each in left]
    mode: Mode = "on a copy" if copied else "over a login" if login_dsn else "in place"
    return ProofEvidence(
        project.manifest.name,
        database,
        server,
        mode,
        lint,
        matrix,
        attacks,
        accepted_cells(matrix, exceptions, baseline),
        left_out,
        lint.scope.sentences if lint else (),
        tuple(notes),
        time.monotonic() - started,
    )


def gather_target(
    manifest: Manifest, *, owner_dsn: str, login: str | None = None, options: ProofOptions | None = None
) -> tuple[ProofEvidence, Project]:
    """Run gather() for the current target, regardless of whether a run made it and whether the source still exists.

    Args:
        login: connection string of the API's login, or `auto` for the manifest's login role on the same server.

    Raises:
        TenantryError: as gather().
    """
    # Closed before the rest: a copy by template requires a database without connections.
    with connect(owner_dsn, name="tenantry proof") as owner:
        project = resolve_access(manifest, read_catalog(owner, manifest.target.schema_name))
        writes = has_writes(owner)
    login_dsn = normalise_dsn(login) if login and login != "auto" else None
    if login == "auto":
        # Without the DSN's options: they may name a role that this login cannot become.
        login_dsn = with_parameters(owner_dsn, user=manifest.database_roles.login, options="")
    return gather(project, owner_dsn=owner_dsn, login_dsn=login_dsn, writes=writes, options=options), project


def gather_found(
    owner_dsn: str,
    sought: Sought | None = None,
    options: ProofOptions | None = None,
) -> ProofEvidence:
    """Prove a database without a manifest: tenants, roles and memberships are discovered, and `scope` says how.

    The rights of each role are unknown then, but no tenant may see or change another's rows. That is executed
    on the existing rows, in one transaction that is rolled back.

    Args:
        sought: what to look at; by default everything.
        options: `on_copy` uses a copy of the schema, made and dropped here, with synthetic rows; volatile functions are called
            there, too. A copy elsewhere, and attacks, need a manifest.
    """
    started, options = time.monotonic(), options or ProofOptions()
    exceptions, baseline, parts, progress = options.exceptions, options.baseline, options.parts, options.progress
    sought = sought or Sought()
    of_lint = lint_exceptions(exceptions)
    left_out: dict[str, str] = {part: "left out, as asked for" for part in PARTS if part not in parts}
    with connect(owner_dsn, name="tenantry proof") as owner:
        lint = run_lint(owner, sought=sought, exceptions=of_lint, baseline=baseline)
        matrix = None
        if "matrix" in parts and not options.on_copy:
            matrix = prove_found(owner, lint.scope, progress=progress)
        database, server = owner.info.dbname, _version(owner)
    left: list[str] = []
    if "matrix" in parts and options.on_copy:
        with schema_copy(owner_dsn, left) as copy, connect(copy, name="tenantry proof: copy") as owner:
            # Catalog numbers differ in the copy.
            scope = discover(
                owner, schemas=lint.scope.schemas, roles=sought.roles, tenant_column=lint.scope.tenant_column or None
            )
            matrix = prove_found(owner, scope, on_copy=True, progress=progress)
    if "attacks" in parts:
        left_out["attacks"] = "attacks need a manifest, which describes contexts and the owners of rows"
    return ProofEvidence(
        database,
        database,
        server,
        "on a copy" if options.on_copy else "in place",
        lint if "lint" in parts else None,
        matrix,
        (),
        accepted_cells(matrix, exceptions, baseline),
        left_out,
        lint.scope.sentences,
        tuple(f"could not be removed: {each}" for each in left),
        time.monotonic() - started,
    )


def _version(owner: psycopg.Connection[Any]) -> str:
    number = owner.info.server_version
    return f"{number // 10000}.{number % 10000}"


__all__ = ["PARTS", "Covered", "Mode", "Part", "Progress", "ProofEvidence", "gather", "gather_found", "lint_exceptions"]
