"""What a reviewer asks about each phase: its purpose, when it has succeeded and how to check that, when to go back and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from tenantry.plan.model import Phase


@dataclass(frozen=True, slots=True)
class Criterion:
    """A condition for success, and the command whose exit code or output checks it."""

    what: str
    command: str


@dataclass(frozen=True, slots=True)
class PhaseGuide:
    """The review of one phase.

    Attributes:
        triggers: what is a reason to go back, or to stop.
        procedure: how to go back from this phase.
    """

    purpose: str
    criteria: tuple[Criterion, ...]
    triggers: tuple[str, ...]
    procedure: str

    def to_json(self) -> dict[str, object]:
        return asdict(self)


_UNDO = "`tenantry rollback --everything` undoes every step, the last one first. The application does not notice it."

GUIDE: Mapping[Phase, PhaseGuide] = {
    "expand": PhaseGuide(
        "Create the journal, the accounts, and the empty target beside the source. The source is not changed.",
        (Criterion("Every step of the phase is done.", "tenantry status"),),
        ("A step fails: a role, a right or an extension is missing.", "Sign-ups fail or slow down (trigger on auth.users)."),
        _UNDO,
    ),
    "capture": PhaseGuide(
        "Record the key of every row that applications change from now on.",
        (
            Criterion("Every source table has its triggers, and the queue grows with the application's writes.", "tenantry status"),
        ),
        (
            "Writes of the application fail or become slower than you accept.",
            "A table's lock is not granted within --retry-locks-for: a long transaction holds it.",
        ),
        _UNDO,
    ),
    "copy": PhaseGuide(
        "Copy all rows, convert their ids and values, and build indexes and keys. Rows that cannot be converted go to the quarantine.",
        (
            Criterion("Every row was copied, merged or put in quarantine.", "tenantry verify"),
            Criterion("The quarantine holds only rows that you expect.", "tenantry quarantine list"),
        ),
        (
            "More rows are quarantined than `tenantry analyze` announced.",
            "Disk space, WAL or replication lag pass the limits that you set in [throttle].",
        ),
        "`tenantry pause` stops the copy and keeps what is done. " + _UNDO,
    ),
    "replay": PhaseGuide(
        "Apply the changes that applications made during the copy, until the queue is nearly empty.",
        (Criterion("The queue is nearly empty.", "tenantry status --until idle"),),
        ("The queue grows although `tenantry replay` runs: the application writes faster than the replay.",),
        _UNDO,
    ),
    "verify": PhaseGuide(
        "Compare every row, id and reference of both sides, and run the business rules.",
        (
            Criterion("For every table: source rows = target rows + quarantined + merged.", "tenantry verify"),
            Criterion("The checksums of every key range agree; ids are one to one; every parent exists.", "tenantry verify"),
            Criterion("No row violates the manifest's business rules.", "tenantry verify"),
        ),
        ("A comparison differs and `tenantry verify --repair` does not repair it.",),
        _UNDO,
    ),
    "secure": PhaseGuide(
        "Create policies, grants and row-level security. Clients can read the target from now on.",
        (
            Criterion("The database has the access rules of the manifest.", "tenantry access diff"),
            Criterion("Every cell of the access matrix holds, and no attack succeeds.", "tenantry prove"),
            Criterion("The catalog has no hole in tenant isolation.", "tenantry lint"),
        ),
        ("The proof fails in a cell, or an attack succeeds.",),
        _UNDO,
    ),
    "cut over": PhaseGuide(
        "Make applications write the target, and refuse writes to the source. Changes are replayed into the source from now on.",
        (
            Criterion("The target accepts writes, and the source refuses them.", "tenantry status --until cut-over"),
            Criterion("Both sides still agree while the application writes the target.", "tenantry verify"),
            Criterion("No tenant sees another.", "tenantry prove"),
        ),
        (
            "The new application has errors that you cannot fix at once.",
            "The proof or `tenantry verify` fails.",
            "No attempt stays within --max-write-pause: the command ends with TN-411 and nothing was switched.",
        ),
        "`tenantry rollback`: applications write the source again, with everything that was written in the target. Writers wait"
        " for at most --max-write-pause. Keep `tenantry replay` running, so that the rollback is quick.",
    ),
    "contract": PhaseGuide(
        "Drop the source, and what only a rollback needs. This is final.",
        (
            Criterion("Nothing reads the source any more, and an archive of it exists.", "tenantry contract --archive source.dump"),
            Criterion("The run is over.", "tenantry status --until contracted"),
        ),
        ("Something still reads the source: the command refuses to drop it.",),
        "None. Do not begin this phase while you could need a way back; afterwards only the archive or a backup restores the source.",
    ),
}  # fmt: skip
"""In the order of the phases."""
