"""Computes the contents of the report's page from a report whose parts may be missing; the templates only lay them out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from tenantry.prove import Cell, Check, Proof
from tenantry.report.formatting import count, duration, size

State = Literal["ok", "failed", "open"]
"""'open': not done, or not done yet."""

_MOST = 100
"""Maximum number of failures of one kind on the page; report.json holds all of them."""

_RISKS = ("none", "low", "medium", "high")


@dataclass(frozen=True, slots=True)
class PageVerdict:
    """One of the three questions, and its answer."""

    word: str
    noun: str
    state: State
    said: str
    section: str


@dataclass(frozen=True, slots=True)
class PageFailure:
    """A failure, and the section that has the details."""

    said: str
    section: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A number for the overview."""

    value: str
    label: str
    note: str = ""
    section: str = ""
    tone: Literal["", "attention", "failed"] = ""


@dataclass(frozen=True, slots=True)
class Accounted:
    """The outcome of one mapping's rows; shares are percentages of its bar."""

    mapping: str
    source_table: str
    source: int
    target: int
    quarantined: int
    merged: int
    outside: int
    balanced: bool
    shares: tuple[tuple[str, float], ...]

    @property
    def off(self) -> int:
        """Number of source rows that are missing; negative if there are too many."""
        return self.source - self.target - self.quarantined - self.merged - self.outside


def verdicts_of(report: Mapping[str, Any], proof: ProofPage | None, accounts: Sequence[Accounted]) -> list[PageVerdict]:
    checks = report.get("verifications") or ()
    wrong = sum(not account.balanced for account in accounts)
    failed = sum(not check["passed"] for check in checks)
    moved = _state(bool(accounts), not wrong)
    verified = _state(bool(checks), not failed)
    holes = _holes(report)
    proved = _state(proof is not None, proof is not None and proof.passed and not holes)
    said = {
        ("Moved", "ok"): "every source row is accounted for",
        ("Moved", "failed"): f"the rows of {count(wrong, 'table')} do not add up",
        ("Moved", "open"): "nothing was moved yet",
        ("Verified", "ok"): f"{count(len(checks), 'check')}, no difference",
        ("Verified", "failed"): f"{failed} of {count(len(checks), 'check')} failed",
        ("Verified", "open"): "source and target were not compared",
        ("Proved", "ok"): "the database obeys the access matrix",
        ("Proved", "failed"): "the database does not obey the access matrix"
        if proof is not None and not proof.passed
        else f"{count(holes, 'way')} past the policies found",
        ("Proved", "open"): "the isolation of tenants was not tested",
    }
    untried = proof.counts["untried"] if proof is not None else 0
    extra = f"; {count(untried, 'cell')} could not be tried" if untried else ""
    return [
        PageVerdict("Moved", "Move", moved, said["Moved", moved], "accounts"),
        PageVerdict("Verified", "Verification", verified, said["Verified", verified], "verification"),
        PageVerdict("Proved", "Proof", proved, said["Proved", proved] + extra, "proof"),
    ]


def _holes(report: Mapping[str, Any]) -> int:
    """Checks of the catalog and attacks that failed."""
    evidence = report.get("evidence") or {"summary": ()}
    return sum(int(line["failed"]) for line in evidence["summary"] if line["part"] != "matrix" and line["covered"])


def _state(done: bool, passed: bool) -> State:
    if not done:
        return "open"
    return "ok" if passed else "failed"


def failures_of(report: Mapping[str, Any], proof: ProofPage | None, accounts: Sequence[Accounted]) -> list[PageFailure]:
    """All failures that the reader must not overlook."""
    failures = [
        PageFailure(
            f"Accounting: {account.mapping} does not add up: of {account.source:,} source rows "
            + (f"{account.off:,} are nowhere" if account.off > 0 else f"came {-account.off:,} too many"),
            "accounts",
        )
        for account in accounts
        if not account.balanced
    ]
    failures += [
        PageFailure(f"Verification: {check['check']} of {check['table']}: {_differences(check)}", "verification")
        for check in report.get("verifications") or ()
        if not check["passed"]
    ]
    if proof is not None and not proof.passed:
        if proof.counts["failed"]:
            failures.append(
                PageFailure(f"Proof: {count(proof.counts['failed'], 'cell')} not as the access matrix says", "proof")
            )
        failures += [PageFailure(f"Proof: {check.title}", "proof") for check in proof.checks if not check.passed]
        if not failures or failures[-1].section != "proof":
            failures.append(PageFailure("Proof: it did not pass", "proof"))
    if holes := _holes(report):
        failures.append(
            PageFailure(f"Proof: {count(holes, 'check')} of the catalog or rights failed: see proof.html", "proof")
        )
    failures += [
        PageFailure(f"Blocker {finding['code']}: {finding['table']}: {finding['title']}", "findings")
        for finding in report.get("findings") or ()
        if finding["severity"] == "blocker"
    ]
    failures += [
        PageFailure(f"Sample data: {line['code']}: planted {line['planted']:,}, found {line['found']:,}", "planted")
        for line in report.get("planted") or ()
        if line["found"] not in (None, line["planted"])
    ]
    return failures


def _differences(check: Mapping[str, Any]) -> str:
    found = len(check.get("differences") or ()) + (check.get("more") or 0)
    return count(found, "difference") if found else "the rows do not add up"


def figures_of(report: Mapping[str, Any], proof: ProofPage | None) -> list[Figure]:
    source = report.get("source") or {"schema": "", "tables": ()}
    tables = source["tables"]
    rows = sum(table["rows"] for table in tables)
    stored = size(sum(table["bytes"] for table in tables))
    figures = [Figure(f"{len(tables):,}", "source tables", f"about {rows:,} rows, {stored}")]
    if "rows" in report:
        took = f"in {duration(report['migration_seconds'])}" if "migration_seconds" in report else ""
        figures.append(Figure(f"{report['rows']:,}", "rows in the target", took, "accounts"))
        held = sum(entry["count"] for entry in report.get("quarantine") or ())
        figures.append(
            Figure(f"{held:,}", "rows in quarantine", "originals kept", "quarantine", "attention" if held else "")
        )
        merged = sum(entry["count"] for entry in report.get("merged") or ())
        figures.append(Figure(f"{merged:,}", "rows merged", "each one listed", "merged"))
    if findings := report.get("findings"):
        urgent = sum(finding["severity"] in ("blocker", "warning") for finding in findings)
        figures.append(
            Figure(
                f"{urgent:,}", "findings to look at", f"of {len(findings):,}", "findings", "attention" if urgent else ""
            )
        )
    if proof is not None:
        counts = proof.counts
        note = f"{counts['failed']:,} failed, {counts['untried']:,} not tried"
        figures.append(
            Figure(f"{counts['cells']:,}", "matrix cells run", note, "proof", "failed" if counts["failed"] else "")
        )
    return figures


# -- parts -------------------------------------------------------------------------------------------------------------


def accounts_of(report: Mapping[str, Any]) -> list[Accounted]:
    """Return the accounts: first those that do not add up, then by size."""
    accounts = []
    for entry in report.get("accounts") or ():
        parts = {part: entry.get(part, 0) for part in ("target", "quarantined", "merged", "outside")}
        whole = max(entry["source"], sum(parts.values()))
        balanced = bool(entry.get("balanced", entry["source"] == sum(parts.values())))
        shares = [(part, 100 * rows / whole) for part, rows in parts.items() if rows > 0]
        missing = entry["source"] - sum(parts.values())
        if missing > 0:
            shares.append(("missing", 100 * missing / whole))
        accounts.append(
            Accounted(
                entry["mapping"],
                entry["source_table"],
                entry["source"],
                **parts,
                balanced=balanced,
                shares=tuple(shares),
            )
        )
    return sorted(accounts, key=lambda account: (account.balanced, -account.source))


@dataclass(frozen=True, slots=True)
class Bar:
    """A stage, or a phase within one, on the time axis; start and width are percentages."""

    name: str
    seconds: float
    start: float
    width: float
    inner: bool = False
    planned: float | None = None


def timeline_of(report: Mapping[str, Any]) -> list[Bar]:
    """Return the consecutive stages, with the phases of the migration inside it."""
    phases = report.get("phases") or ()
    inside = sum(phase["seconds"] for phase in phases)
    names = {phase["phase"] for phase in phases}
    stages = [(each["stage"], each["seconds"]) for each in report.get("durations") or () if each["stage"] not in names]
    if phases and "migrate" not in dict(stages):
        stages.append(("migrate", report.get("migration_seconds", inside)))
    whole = sum(took for _, took in stages) or 1
    bars = []
    begun = 0.0
    for stage, took in stages:
        bars.append(Bar(stage, took, 100 * begun / whole, 100 * took / whole))
        if stage == "migrate":
            estimates = {phase: estimate for phase, _, estimate in phases_of(report)}
            within = begun
            for phase in phases:
                name, spent = phase["phase"], phase["seconds"]
                bars.append(Bar(name, spent, 100 * within / whole, 100 * spent / whole, True, estimates.get(name)))
                within += spent
        begun += took
    return bars


def planted_of(report: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]] | None:
    """Return the planted and searched defects, first the mismatches; and the planted rows that were migrated."""
    lines = report.get("planted")
    if lines is None:
        return None
    sought = [line for line in lines if line["found"] is not None]
    return (
        sorted(sought, key=lambda line: line["found"] == line["planted"]),
        [line for line in lines if line["found"] is None],
    )


def phases_of(report: Mapping[str, Any]) -> list[tuple[str, list[Mapping[str, Any]], float]]:
    """Return each phase with its steps and estimated seconds, in order."""
    plan = report.get("plan") or {"steps": ()}
    return [
        (phase, steps, sum(step["estimated_seconds"] for step in steps))
        for phase, steps in grouped(plan["steps"], "phase")
    ]


def command_of(report: Mapping[str, Any]) -> str:
    """Return the prefix of the commands in this report's next steps."""
    for step in report.get("next") or ():
        for command in step.split("`")[1::2]:
            before, found, _ = command.rpartition(" quarantine list")
            if found:
                return str(before)
    return "tenantry"


def grouped(entries: Iterable[Mapping[str, Any]], key: str) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Group by a key; groups and entries keep their order."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        groups.setdefault(entry[key], []).append(entry)
    return list(groups.items())


def counted(texts: Iterable[str]) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for text in texts:
        counts[text] = counts.get(text, 0) + 1
    return list(counts.items())


# -- the proof ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProofPage:
    """A proof as shown on the page: the matrix by table, and everything that is not a plain yes."""

    passed: bool
    login: str
    seconds: float
    counts: Mapping[str, int]
    callers: tuple[str, ...]
    matrix: tuple[tuple[str, tuple[tuple[str, Mapping[str, str]], ...]], ...]
    """Return each table, with the mark of each command and caller; tables with failures first."""
    failures: tuple[Cell, ...]
    untried: tuple[tuple[str, str, str, tuple[str, ...]], ...]
    """Table, command, reason, callers."""
    checks: tuple[Check, ...]
    notes: tuple[str, ...]


def proof_of(report: Mapping[str, Any]) -> ProofPage | None:
    said = report.get("proof")
    if said is None:
        return None
    proof = Proof(
        cells=tuple(Cell(**_fields(Cell, cell)) for cell in said.get("cells") or ()),
        checks=tuple(
            Check(**{**_fields(Check, check), "violations": tuple(check["violations"])})
            for check in said.get("checks") or ()
        ),
        login=said["login"],
        seconds=said["seconds"],
        notes=tuple(said.get("notes") or ()),
    )
    tables: dict[str, list[tuple[str, Mapping[str, str]]]] = {}
    for row in proof.matrix_rows():
        tables.setdefault(row.table, []).append((row.command, dict(row.marks)))
    untried: dict[tuple[str, str, str], dict[str, None]] = {}
    for cell in proof.untried:
        untried.setdefault((cell.table, cell.command, cell.detail), {})[cell.role] = None
    explained = {f"{table}: {reason}" for table, _, reason in untried}
    return ProofPage(
        passed=proof.passed and said.get("passed", True),
        login=proof.login,
        seconds=proof.seconds,
        counts=proof.counts if proof.cells else {**proof.counts, **(said.get("counts") or {})},
        callers=tuple(dict.fromkeys(cell.role for cell in proof.cells)),
        matrix=tuple(
            sorted(
                ((table, tuple(rows)) for table, rows in tables.items()),
                key=lambda entry: not any("failed" in marks.values() for _, marks in entry[1]),
            )
        ),
        failures=proof.failures,
        untried=tuple((*where, tuple(callers)) for where, callers in untried.items()),
        checks=tuple(sorted(proof.checks, key=lambda check: check.passed)),
        notes=tuple(note for note in proof.notes if note not in explained),
    )


def _fields(record: type[Cell | Check], data: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: data[field.name] for field in fields(record) if field.name in data}


# -- words -------------------------------------------------------------------------------------------------------------
