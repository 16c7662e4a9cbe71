"""Writes findings of lint and prove to files for other programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tenantry.cli.console import written
from tenantry.prove.baseline import save_baseline
from tenantry.prove.formats import Result, SarifRule, as_junit, as_sarif


@dataclass(frozen=True, slots=True)
class FindingFiles:
    """The files to write: the baseline of accepted findings, JUnit XML, and SARIF; None: do not write it."""

    baseline: Path | None = None
    junit: Path | None = None
    sarif: Path | None = None


def write_findings(
    results: Sequence[Result],
    rules: Sequence[SarifRule],
    *,
    suite: str,
    seconds: float,
    artifact: str,
    files: FindingFiles,
) -> None:
    """Write the requested files, and report each on stderr.

    Args:
        suite: name of the test suite in JUnit XML.
        artifact: the manifest, for SARIF; empty without one.
    """
    if files.baseline is not None:
        count = save_baseline(results, files.baseline)
        written(files.baseline, f", with {count} accepted findings")
    if files.junit is not None:
        files.junit.write_text(as_junit(results, suite=suite, seconds=seconds), encoding="utf-8")
        written(files.junit)
    if files.sarif is not None:
        files.sarif.write_text(json.dumps(as_sarif(results, rules, artifact=artifact), indent=1), encoding="utf-8")
        written(files.sarif)
