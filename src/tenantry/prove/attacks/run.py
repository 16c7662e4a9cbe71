"""Runs attacks: each on its own connections; an attack that cannot be judged is reported, never skipped."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import psycopg

from tenantry.errors import StatementRefused, TenantryError
from tenantry.mapping.project import Project
from tenantry.postgres import connect
from tenantry.prove.attacks import audit_columns as stamps
from tenantry.prove.attacks import (
    claims,
    context,
    escapes,
    leaks,
    plans,
    privileges,
    reads,
    references,
    server,
    session,
    shares,
    tokens,
    views,
    writes,
)
from tenantry.prove.attacks import ddl as objects
from tenantry.prove.attacks import denial_of_service as disturb
from tenantry.prove.attacks import side_channels as around
from tenantry.prove.attacks.harness.accepted import INHERENT
from tenantry.prove.attacks.harness.attempt import Attempt, World
from tenantry.prove.attacks.harness.model import Attack, AttackResult, Outcome
from tenantry.prove.attacks.harness.world import AttackedDatabase
from tenantry.prove.fixtures.build import remove_leftovers

_MODULES = (
    *(reads, views, plans, leaks, around),
    *(session, escapes, claims, tokens),
    *(writes, references, stamps, shares, objects),
    context,
    *(privileges, server, disturb),
)

ATTACKS: tuple[Attack, ...] = tuple(each for module in _MODULES for each in module.ATTACKS)
"""All attacks, family by family."""

Progress = Callable[[str, int, int], None]
"""Called with the attack being tried, the number of attacks done, and the number of all."""


def run_attacks(
    project: Project,
    copy: AttackedDatabase,
    *,
    attacks: Collection[str] | None = None,
    accepted: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> tuple[AttackResult, ...]:
    """Try every attack on a copy of the database: rows are committed there, and an attack's effects may stay.

    Args:
        attacks: the names of the attacks to try; by default all.
        accepted: attack → why its success does not fail the proof.

    Raises:
        TenantryError: tenants or people cannot be made, or the attacker's context does not open, so nothing can be tried.
    """
    chosen = [each for each in ATTACKS if attacks is None or each.name in attacks]
    with connect(copy.owner_dsn, name="tenantry attacks") as owner:
        world = World.prepare(project, owner, copy)
        try:
            _check(world)
            results: list[AttackResult] = []
            for done, each in enumerate(chosen):
                if progress is not None:
                    progress(each.name, done, len(chosen))
                if results and _may_have_changed_rows(results[-1]):
                    world.rebuild()
                result = _try(world, each, (accepted or {}).get(each.name, ""))
                results.append(result)
        finally:
            remove_leftovers(owner)
    if progress is not None:
        progress("", len(chosen), len(chosen))
    return tuple(results)


def _may_have_changed_rows(result: AttackResult) -> bool:
    """Whether an attack succeeded or failed in the middle; those that every database allows only count, guess and disturb."""
    return result.outcome == "error" or (result.outcome == "broken" and result.attack.name not in INHERENT)


def _check(world: World) -> None:
    """Check that the attacker's context works: otherwise every attack would fail, and nothing would be proved."""
    with Attempt(world) as attempt, attempt.acting_as(world.attacker) as me:
        tables = attempt.open_tables()
        if not any(
            me.run(f"select count(*) from {target.name} where {target.visible[0].where}").number for target in tables
        ):
            raise StatementRefused(
                "The synthetic member sees none of their own rows, so no attack would prove anything.",
                hint="Run the access matrix first: `tenantry prove` says which right is missing.",
            )


def _try(world: World, each: Attack, accepted: str) -> AttackResult:
    started = time.monotonic()
    try:
        with Attempt(world) as attempt:
            verdict = each.run(attempt)
    except Exception as error:  # noqa: BLE001 - an error of the harness is a result: not judged
        seconds = time.monotonic() - started
        return AttackResult(each, "error", _short(error), seconds)
    return AttackResult(each, verdict.outcome, verdict.evidence, time.monotonic() - started, accepted=accepted)


def _short(error: Exception) -> str:
    said = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    text = said or (error.message if isinstance(error, TenantryError) else str(error))
    return f"{type(error).__name__}: {' '.join(text.split())[:300]}"


def ask_rights(
    connection: psycopg.Connection[Any],
    project: Project,
    *,
    attacks: Collection[str] | None = None,
    accepted: Mapping[str, str] | None = None,
) -> tuple[AttackResult, ...]:
    """Ask the catalog which rights would allow which attack, for a database on which nothing may be tried.

    Args:
        attacks: the names of the attacks to ask about; by default all.
    """
    results = []
    for each in ATTACKS:
        if attacks is not None and each.name not in attacks:
            continue
        started = time.monotonic()
        if each.rights is None:
            reason = "the catalog cannot tell; the attack is tried on a copy of the database"
            results.append(AttackResult(each, "not applicable", reason, by="rights"))
            continue
        try:
            found = each.rights(connection, project)
        except psycopg.Error as error:
            results.append(AttackResult(each, "error", _short(error), by="rights"))
            continue
        outcome: Outcome = "broken" if found else "held"
        said = found or "the catalog shows no right that would allow it"
        seconds = time.monotonic() - started
        results.append(AttackResult(each, outcome, said, seconds, "rights", (accepted or {}).get(each.name, "")))
    return tuple(results)


__all__ = ["ATTACKS", "Progress", "ask_rights", "run_attacks"]
