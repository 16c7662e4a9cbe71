"""Baselines: a sorted file of fingerprints of known findings, kept with the code, so that only new findings fail."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tenantry.errors import SettingsError
from tenantry.prove.formats import Result

REASON = "in the baseline"


def fingerprint(name: str, shown: str, detail: str) -> str:
    """Return a hash that stays the same from run to run: findings contain neither counts nor times."""
    return f"{name}|{shown}|{detail}"


def of_result(result: Result) -> str:
    """Return the fingerprint of a result. For a cell of the matrix: caller, command and row, but not the server's message."""
    return fingerprint(result.name, result.object, "" if result.group == "matrix" else result.message)


def load_baseline(file: Path) -> frozenset[str]:
    """Load the fingerprints of a file that save_baseline() wrote.

    Raises:
        SettingsError: the file does not exist, or is no baseline.
    """
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        found = data["accepted"]
    except FileNotFoundError:
        raise SettingsError(
            f"There is no baseline {file}.", hint=f"Create it once and keep it with the code: --write-baseline {file}"
        ) from None
    except (OSError, UnicodeDecodeError, ValueError, TypeError, KeyError) as error:
        raise SettingsError(
            f"The baseline {file} cannot be read: {error}.", hint="Write it again with --write-baseline."
        ) from None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise SettingsError(f"{file} is not a baseline.", hint="Write it again with --write-baseline.")
    return frozenset(found)


def save_baseline(results: Iterable[Result], file: Path, *, kept: Iterable[str] = ()) -> int:
    """Write the fingerprints of everything that failed, at any level, and of old accepted findings that remain; return their number."""
    accepted = sorted({*(of_result(each) for each in results if each.outcome == "failed"), *kept})
    file.write_text(json.dumps({"version": 1, "accepted": accepted}, indent=1) + "\n", encoding="utf-8")
    return len(accepted)


__all__ = ["REASON", "fingerprint", "load_baseline", "of_result", "save_baseline"]
