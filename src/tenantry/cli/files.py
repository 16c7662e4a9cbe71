"""Writes findings of lint and prove to files for other programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tenantry.cli.console import written
from tenantry.prove.baseline import save_baseline
from tenantry.prove.formats import Result, SarifRule, as_junit, as_sarif


def write_findings(
    results: Sequence[Result],
    rules: Sequence[SarifRule],
    *,
    suite: str,
    seconds: float,
    artifact: str,
    baseline: Path | None,
    junit: Path | None,
    sarif: Path | None,
) -> None:
    """Write the requested files, and report each on stderr.

    Args:
        suite: name of the test suite in JUnit XML.
        artifact: the manifest, for SARIF; empty without one.
    """
    if baseline is not None:
        count = save_baseline(results, baseline)
        written(baseline, f", with {count} accepted findings")
    if junit is not None:
        junit.write_text(as_junit(results, suite=suite, seconds=seconds), encoding="utf-8")
        written(junit)
    if sarif is not None:
        sarif.write_text(json.dumps(as_sarif(results, rules, artifact=artifact), indent=1), encoding="utf-8")
        written(sarif)
