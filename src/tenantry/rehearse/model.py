"""What a rehearsal is asked for, and what it found out, as values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tenantry.analyze import Finding
from tenantry.dbcopy.original import Copy
from tenantry.migrate.run.engine import Options, Outcome
from tenantry.migrate.session.backups import Backups
from tenantry.prove import Proof
from tenantry.rehearse.fingerprint import Compared
from tenantry.rehearse.synthetic_writes import Written


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a rehearsal is done.

    Attributes:
        copy_dsn: an empty database that the copy goes into; else it is made on the original's server.
        embedded: the folder of an embedded server for the copy.
        keep: the copy is not dropped in the end.
        load: seconds for which each side is written all the time; 0: every chosen row goes to another value and back.
        contract: also the step without return, instead of taking everything back.
        prove: also the proof of the access matrix, which takes long where tables and roles are many.
        max_stall: seconds for which writers may wait at the turns.
        login_dsn: connection string of the API's login, for the proof and the invented writes.
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


@dataclass(frozen=True, slots=True)
class RehearsalProblem:
    """Something that would stop or spoil the migration."""

    stage: str
    what: str
    mend: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class RehearsalStage:
    """A part of the rehearsal.

    Attributes:
        wal_bytes: what the server wrote meanwhile; others' writes are in it.
        database_bytes: the copy's size at its end.
    """

    name: str
    seconds: float
    wal_bytes: int
    database_bytes: int


@dataclass(frozen=True, slots=True)
class Lock:
    """One step that locks a table that applications write: seconds from its first try to its commit."""

    table: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RehearsedSwitch:
    """A turn of the direction, and for how long writers waited."""

    name: str
    stall: float
    longest_stall: float
    attempts: int
    entries: int


@dataclass(frozen=True, slots=True)
class Carried:
    """Changes that were carried over to the other side."""

    direction: str
    entries: int
    rows: int
    refused: int
    conflicts: int


@dataclass
class Rehearsal:
    """What was found out. Times are in seconds, sizes in bytes."""

    name: str
    original: str
    original_bytes: int
    version: int
    begun: str
    backups: Backups
    copy: Copy | None = None
    kept: bool = False
    left: tuple[str, ...] = ()
    """What could not be dropped in the end, with the reason."""
    complete: bool = False
    """Every part was done."""
    seconds: float = 0.0
    stages: list[RehearsalStage] = field(default_factory=list)
    phases: list[RehearsalStage] = field(default_factory=list)
    """The phases of the migration, a part of the stage of this name."""
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
    """By stage, how the source differed from what it was before the migration."""
    proof: Proof | None = None
    report: dict[str, Any] | None = None
    """The migration's own report, as `tenantry migrate --report` writes it."""
    start_bytes: int = 0
    peak_bytes: int = 0
    problems: list[RehearsalProblem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Everything was done, and nothing found that would stop or spoil the migration."""
        return self.complete and not self.problems

    @property
    def quarantined(self) -> int:
        return sum(int(entry["count"]) for entry in self.quarantine)

    def stage(self, name: str) -> RehearsalStage | None:
        return next((stage for stage in self.stages if stage.name == name), None)

    @property
    def estimate(self) -> dict[str, Any]:
        """What the original will take, as far as the copy tells; None for what was not reached."""

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
        """Plain JSON types, without the migration's report and without any DSN: these may hold passwords."""
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
