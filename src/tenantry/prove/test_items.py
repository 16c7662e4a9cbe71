"""The results of the proof as items for test runners: one verdict for each check, table and right. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tenantry.manifest.model import Manifest
from tenantry.prove.attacks.harness.model import AttackResult
from tenantry.prove.attacks.run import ATTACKS
from tenantry.prove.lint.checks import check_files
from tenantry.prove.lint.run import Lint
from tenantry.prove.model import Cell, Proof

Kind = Literal["lint", "matrix", "rights"]
KINDS: tuple[Kind, ...] = ("lint", "matrix", "rights")

CONDITIONS = "policy_condition"
"""The lint item that fails if a condition of a policy could not be parsed."""

_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one item.

    Attributes:
        message: why it failed or was not tried.
        notes: remarks on a passed item: warnings, exceptions, what could not be tried.
    """

    outcome: Literal["passed", "failed", "skipped"]
    message: str = ""
    notes: tuple[str, ...] = ()


Verdicts = dict[str, Verdict]


def names(kind: Kind, manifest: Manifest | None) -> tuple[str, ...]:
    """Return the names of the items of a kind, without a database; matrix and rights have none without a manifest."""
    if kind == "lint":
        return (*(check.name for check in check_files()), CONDITIONS)
    if manifest is None:
        return ()
    if kind == "matrix":
        return tuple(sorted(manifest.tables))
    return tuple(each.name for each in ATTACKS if each.rights is not None)


def of_lint(lint: Lint) -> Verdicts:
    """Return a verdict for each check: findings of level error fail it, lower ones become notes."""
    found: Verdicts = {}
    for name in lint.checks:
        mine = [finding for finding in lint.findings if finding.check == name]
        errors = [finding for finding in mine if finding.level == "error"]
        notes = [str(finding) for finding in mine if finding.level != "error"]
        notes += [f"{finding.object or '-'}: excepted: {by.reason}" for finding, by in lint.allowed if by.check == name]
        notes += [f"the exception no longer matches a finding {each}" for each in lint.unused if each.check == name]
        message = ""
        if errors:
            lines = [f"  {finding.object}{': ' if finding.object else ''}{finding.detail}" for finding in errors]
            message = "\n".join(
                [f"{name}: does not hold: {errors[0].title}", *_first(lines), f"To fix it: {errors[0].fix}"]
            )
        found[name] = Verdict("failed" if errors else "passed", message, tuple(notes))
    found |= {name: Verdict("skipped", f"not applicable: {reason}") for name, reason in lint.not_applicable}
    unread = "; ".join(lint.unread)
    found[CONDITIONS] = Verdict("skipped", f"not read: {unread}") if unread else Verdict("passed")
    return found


def of_matrix(proof: Proof, tables: Iterable[str], accepted: Mapping[Cell, str] | None = None) -> Verdicts:
    """Return a verdict for each table: any failed cell fails it; untried cells are noted, and a table with only these is skipped.

    Args:
        accepted: cells that may contradict the matrix, with the reason.
    """
    excepted = accepted or {}
    found: Verdicts = {}
    for table in sorted(tables):
        cells = [cell for cell in proof.cells if cell.table == table]
        failed = [cell for cell in cells if cell.failed and cell not in excepted]
        excused = [f"{cell}: excepted: {excepted[cell]}" for cell in cells if cell.failed and cell in excepted]
        reasons = [note.partition(": ")[2] for note in proof.notes if note.startswith(f"{table}: ")]
        untried = _untried([cell for cell in cells if cell.got == "not tried"])
        if failed:
            found[table] = Verdict("failed", _failures(table, failed, len(cells)), (*excused, *untried))
        elif not cells and not reasons:
            found[table] = Verdict("failed", f"{table}: the manifest names it, but no cell of it could be tried.")
        elif all(cell.got == "not tried" for cell in cells):
            found[table] = Verdict("skipped", f"not tried: {'; '.join(reasons or untried)}")
        else:
            found[table] = Verdict("passed", "", (*excused, *untried))
    return found


_NAMED = 3


def _untried(cells: Sequence[Cell]) -> list[str]:
    """Return one line for each reason why cells were not tried."""
    by_reason: dict[str, list[str]] = {}
    for cell in cells:
        by_reason.setdefault(cell.detail or "no row could be made for it", []).append(
            f"{cell.role}: {cell.command}, {cell.relation}"
        )
    return [
        f"{len(alike)} {'cell was' if len(alike) == 1 else 'cells were'} not tried: {reason}"
        f" ({'; '.join(alike[:_NAMED])}{'; …' if len(alike) > _NAMED else ''})"
        for reason, alike in by_reason.items()
    ]


def _failures(table: str, failed: Sequence[Cell], count: int) -> str:
    head = ("who", "command", "row", "matrix", "database", "")
    rows = [(cell.role, cell.command, cell.relation, cell.expected, cell.got, cell.detail) for cell in failed]
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head) - 1)]
    lines = [
        "  " + "  ".join([*(f"{text:<{width}}" for text, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in [head, *rows]
    ]
    verb = "cell is" if len(failed) == 1 else "cells are"
    return "\n".join([
        f"{table}: {len(failed)} of {count} {verb} not as the access matrix says.",
        lines[0],
        *_first(lines[1:]),
        "`tenantry access diff` shows which policies and rights depart from the manifest.",
    ])  # fmt: skip


def of_rights(results: Iterable[AttackResult]) -> Verdicts:
    """Return a verdict for each attack that the catalog can judge: it fails if a right would allow it, unless a reason was stated."""
    found: Verdicts = {}
    for result in results:
        attack = result.attack
        if result.failed:
            found[attack.name] = Verdict(
                "failed", f"{attack.name}: {attack.tries}\n  {result.evidence}\nWhat it gains: {attack.gains}"
            )
        elif result.outcome == "not applicable":
            found[attack.name] = Verdict("skipped", f"not applicable: {result.evidence}")
        else:
            notes = [f"{result.evidence}: accepted: {result.accepted}"] if result.outcome == "broken" else []
            found[attack.name] = Verdict("passed", "", tuple(notes))
    return found


def _first(lines: Sequence[str]) -> list[str]:
    more = len(lines) - _SHOWN
    return [*lines[:_SHOWN], *([f"  … and {more} more"] if more > 0 else [])]


def as_json(verdicts: Mapping[str, Verdict]) -> dict[str, list[object]]:
    return {name: [each.outcome, each.message, list(each.notes)] for name, each in verdicts.items()}


def from_json(data: Mapping[str, list[object]]) -> Verdicts:
    """Parse the output of as_json()."""
    return {
        name: Verdict(outcome, str(message), tuple(notes))  # type: ignore[arg-type]  # as it was written
        for name, (outcome, message, notes) in data.items()
    }


__all__ = ["CONDITIONS", "KINDS", "Kind", "Verdict", "Verdicts", "as_json", "from_json", "names", "of_lint",
           "of_matrix", "of_rights"]  # fmt: skip
