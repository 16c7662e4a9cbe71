"""Likely causes of differences between source and target, derived from what differs, as hints for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tenantry.errors import VerificationFailed
from tenantry.migrate.verify.results import Difference, Verification

_SHOWN = 20


def verification_failed(failed: Sequence[Verification]) -> VerificationFailed:
    """Return the error for failed checks, with every listed difference and the likely causes."""
    listed = [difference for check in failed for difference in check.differences]
    total = len(listed) + sum(check.more for check in failed)
    shown = "\n  ".join(str(each) for each in listed[:_SHOWN])
    rest = f"\n  … and {total - _SHOWN} more" if total > _SHOWN else ""
    return VerificationFailed(
        f"Source and target differ. The cut-over was not done. {total} differences:\n  {shown}{rest}",
        hint=f"The source was not changed. {' '.join(likely(listed))}",
        detail={"checks": [check.to_json() for check in failed]},
    )


def likely(differences: Sequence[Difference]) -> Iterator[str]:
    """Yield what to inspect first, and what to run then."""
    rows = [each for each in differences if each.check == "rows"]
    missing = _tables(each for each in rows if not each.column and each.found == "none")
    beyond = _tables(each for each in rows if not each.column and each.expected == "no row")
    values = dict.fromkeys(f"{each.table}.{each.column}" for each in rows if each.column)
    if missing:
        yield (
            f"Rows of {missing} appeared without a queue entry. Check whether a table was attached or inherits from its source, or whether a session"
            " wrote with triggers disabled (session_replication_role = replica, DISABLE TRIGGER)."
        )
    if beyond:
        yield (
            f"Rows of {beyond} are in the target without a source row. Check whether a partition was dropped or detached, whether rows were"
            " deleted"
            " with triggers disabled, or whether a session wrote into the target."
        )
    if values:
        yield (
            f"Values of {_listed(list(values))} differ from the source. Check whether a session wrote into the target, or whether"
            " the manifest computes them from something that changes by itself (now(), random(), a setting, another table)."
        )
    for check, said in _OTHERS.items():
        found = _tables(each for each in differences if each.check == check)
        if found:
            yield said.replace("{tables}", found)
    if rows or any(each.check in ("accounting", "ids", "references") for each in differences):
        yield (
            "`tenantry verify --repair` derives the rows that differ again. If they differ again at once, the cause still exists."
        )


_OTHERS = {
    "accounting": "The counts of {tables} do not add up: rows appeared or disappeared unseen, by a partition, a child table, or disabled triggers.",
    "ids": "Ids of {tables} occur twice: something wrote into the target.",
    "references": "Rows of {tables} refer to rows that do not exist: something deleted or wrote in the target with its foreign keys disabled.",
    "catalog": "Tables of the target ({tables}) differ from its files: restore them.",
    "rules": "Rows violate the manifest's rules ({tables}): repair them in the source, or correct the rule.",
}


def _tables(differences: Iterator[Difference]) -> str:
    return _listed(list(dict.fromkeys(each.table for each in differences)))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


__all__ = ["likely", "verification_failed"]
