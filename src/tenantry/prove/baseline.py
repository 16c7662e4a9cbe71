"""What was found on some day, so that only what is new fails: a file of fingerprints, sorted, to be kept with the code."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tenantry.errors import SettingsError
from tenantry.prove.formats import Result

REASON = "in the baseline"


def fingerprint(name: str, shown: str, detail: str) -> str:
    """What stays the same from run to run: neither counts nor times are part of findings."""
    return f"{name}|{shown}|{detail}"


def of_result(result: Result) -> str:
    """A cell of the matrix is known by who tries what on which row; what the server says of it may differ."""
    return fingerprint(result.name, result.object, "" if result.group == "matrix" else result.message)


def load_baseline(file: Path) -> frozenset[str]:
    """The fingerprints of a file that save_baseline() wrote.

    Raises:
        SettingsError: there is no such file, or it is another.
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
    """Write down what failed, whatever its level, and what an older baseline accepted and is still there; how much that is."""
    accepted = sorted({*(of_result(each) for each in results if each.outcome == "failed"), *kept})
    file.write_text(json.dumps({"version": 1, "accepted": accepted}, indent=1) + "\n", encoding="utf-8")
    return len(accepted)


__all__ = ["REASON", "fingerprint", "load_baseline", "of_result", "save_baseline"]
