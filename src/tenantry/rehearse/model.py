"""The options and results of a rehearsal, as values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tenantry.analyze import Finding
from tenantry.dbcopy.maker import CopyOptions
from tenantry.dbcopy.original import Copy
from tenantry.migrate.run.engine import Options, Outcome
from tenantry.migrate.session.backups import Backups
from tenantry.prove import Proof
from tenantry.rehearse.fingerprint import Compared
from tenantry.rehearse.synthetic_writes import Written


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options of a rehearsal.

    Attributes:
        copy_dsn: an empty database for the copy; by default one is made on the original's server.
        embedded: the folder of an embedded server for the copy.
        keep: do not drop the copy at the end.
        load: seconds of continuous writes on each side; 0: every chosen row changes to another value and back.
        contract: also run the irreversible step, instead of rolling back everything.
        prove: also prove the access matrix, which takes long with many tables and roles.
        max_stall: longest write pause of switchovers, in seconds.
        login_dsn: connection string of the API's login, for the proof and the synthetic writes.
        jobs: connections that dump and restore.
        scratch: folder for the dump.
    """

    options: Options = field(default_factory=Options)
    copy_dsn: str | None = None
    embedded: Path | None = None
    keep: bool = False
    load: float = 0.0
    contract: bool = False
    prove: bool = True
    max_stall: float = 1.0
    login_dsn: str | None = None
    jobs: int = 2
    scratch: Path | None = None

    @property
    def copy_options(self) -> CopyOptions:
        return CopyOptions(self.copy_dsn, self.embedded, self.keep, self.jobs, self.scratch)


@dataclass(frozen=True, slots=True)
class RehearsalProblem:
    """A problem that would stop the migration or harm data."""

    stage: str
    what: str
    fix: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class RehearsalStage:
    """A part of the rehearsal.

    Attributes:
        wal_bytes: WAL that the server wrote meanwhile, including others' writes.
        database_bytes: the copy's size at its end.
    """

    name: str
    seconds: float
    wal_bytes: int
    database_bytes: int


@dataclass(frozen=True, slots=True)
class Lock:
    """One step that locks a table in use: seconds from its first attempt to its commit."""

    table: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RehearsedSwitch:
    """A switchover, with its write pause."""

    name: str
    stall: float
    longest_stall: float
    attempts: int
    entries: int


@dataclass(frozen=True, slots=True)
class Carried:
    """Changes that were replayed to the other side."""

    direction: str
    entries: int
    rows: int
    refused: int
    conflicts: int


@dataclass
class Rehearsal:
    """The results. Times are in seconds, sizes in bytes."""

    name: str
    original: str
    original_bytes: int
    version: int
    begun: str
    backups: Backups
    copy: Copy | None = None
    kept: bool = False
    left: tuple[str, ...] = ()
    """What could not be dropped at the end, with the reason."""
    complete: bool = False
    """Whether every part ran."""
    seconds: float = 0.0
    stages: list[RehearsalStage] = field(default_factory=list)
    phases: list[RehearsalStage] = field(default_factory=list)
    """The phases of the migration, within the stage of this name."""
    findings: tuple[Finding, ...] = ()
    outcome: Outcome | None = None
    locks: list[Lock] = field(default_factory=list)
    turns: list[RehearsedSwitch] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    carried: list[Carried] = field(default_factory=list)
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    merged: list[dict[str, Any]] = field(default_factory=list)
    conflicts: list[dict[str, Any]] = field(default_factory=list)
    kept_cells: list[dict[str, Any]] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    source: dict[str, Compared] = field(default_factory=dict)
    """Stage → differences of the source from its state before the migration."""
    proof: Proof | None = None
    report: dict[str, Any] | None = None
    """The migration's own report, as `tenantry migrate --report` writes it."""
    start_bytes: int = 0
    peak_bytes: int = 0
    problems: list[RehearsalProblem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every part ran, without a problem that would stop the migration or harm data."""
        return self.complete and not self.problems

    @property
    def quarantined(self) -> int:
        return sum(int(entry["count"]) for entry in self.quarantine)

    def stage(self, name: str) -> RehearsalStage | None:
        return next((stage for stage in self.stages if stage.name == name), None)

    @property
    def estimate(self) -> dict[str, Any]:
        """Estimate the migration of the original from the copy; None for parts that were not reached."""

        def seconds(name: str) -> float | None:
            stage = self.stage(name)
            return stage.seconds if stage is not None else None

        stalls = [turn.longest_stall for turn in self.turns if turn.name == "cut over"]
        migrate = self.stage("migrate")
        return {
            "migrate_seconds": seconds("migrate"),
            "undo_seconds": seconds("undo"),
            "stall_seconds": max(stalls) if stalls else None,
            "wal_bytes": migrate.wal_bytes if migrate is not None else None,
            "disk_bytes": max(0, self.peak_bytes - self.start_bytes) if migrate is not None else None,
            "same_server": self.copy.same_server if self.copy is not None else False,
        }

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types, without the migration's report and without DSNs, which may contain passwords."""
        outcome = self.outcome
        return {
            "name": self.name,
            "passed": self.passed,
            "complete": self.complete,
            "original": self.original,
            "original_bytes": self.original_bytes,
            "version": self.version,
            "begun": self.begun,
            "seconds": self.seconds,
            "copy": None
            if self.copy is None
            else {
                "database": self.copy.database,
                "server": self.copy.server,
                "method": self.copy.method,
                "seconds": self.copy.seconds,
                "kept": self.kept,
                "left": list(self.left),
                "notes": list(self.copy.notes),
            },
            "problems": [asdict(problem) for problem in self.problems],
            "notes": list(self.notes),
            "backups": self.backups.to_json(),
            "estimate": self.estimate,
            "stages": [asdict(stage) for stage in self.stages],
            "phases": [asdict(phase) for phase in self.phases],
            "locks": [asdict(lock) for lock in self.locks],
            "turns": [asdict(turn) for turn in self.turns],
            "writes": [{**asdict(each), "refused": dict(each.refused)} for each in self.written],
            "carried": [asdict(each) for each in self.carried],
            "findings": [finding.to_json() for finding in self.findings],
            "rows": outcome.rows if outcome is not None else None,
            "accounts": [{**asdict(each), "balanced": each.balanced} for each in outcome.accounts] if outcome else [],
            "quarantine": self.quarantine,
            "merged": self.merged,
            "conflicts": self.conflicts,
            "kept_cells": self.kept_cells,
            "differences": self.differences,
            "source": {stage: asdict(found) for stage, found in self.source.items()},
            "proof": None
            if self.proof is None
            else {"passed": self.proof.passed, "login": self.proof.login, "counts": self.proof.counts},
            "start_bytes": self.start_bytes,
            "peak_bytes": self.peak_bytes,
        }


__all__ = ["Carried", "Lock", "Rehearsal", "RehearsalProblem", "RehearsalStage", "RehearsedSwitch", "Wishes"]
