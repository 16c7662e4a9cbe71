"""Runs Clinic's whole migration for `tenantry demo`; registered in the entry-point group tenantry.demo."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
from cryptography.fernet import Fernet

from clinic.migration import MANIFEST
from clinic.migration.legacy import Planted, create_schema, load
from clinic.platform import tokens

_FOUND_AS: Mapping[str, tuple[str, str, str]] = {
    # planted code: (kind of finding, mapping, problem, column or rule)
    "users.email_case_or_blank_duplicate": ("merged", "profiles", ""),
    "users.email_invalid": ("refused", "profiles", "value_invalid:email value_missing:email"),
    "dashboards.of_invalid_user": ("refused", "dashboards", "parent_quarantined:profile_id parent_quarantined:user_id"),
    "widgets.of_invalid_user": ("refused", "widgets", "parent_quarantined:dashboard_id"),
    "metric_values.clinic_unknown": ("refused", "metric_values", "tenant_missing:"),
    "metric_values.clinic_provider_conflict": ("refused", "metric_values", "tenant_conflict:"),
    "metric_values.value_invalid": ("refused", "metric_values", "value_invalid:value"),
    "metric_values.same_day_twice": ("merged", "metric_values", ""),
    "goals.ends_before_start": ("refused", "goals", "rule_broken:goals_period_check"),
    "goals.target_value_invalid": ("refused", "goals", "value_invalid:target_value value_missing:target_value"),
    "goals.clinic_unknown": ("refused", "goals", "tenant_missing:"),
    "dashboards.layout_unknown_widget": ("stale", "dashboards", "layout_config"),
}
"""Planted defects that a migration must quarantine, merge or correct, and where the journal counts them. The other planted
rows are valid and must be migrated, which the comparison of rows shows."""


class ClinicDemo:
    """The legacy database with synthetic data, and the manifest that migrates it."""

    name = "clinic"
    manifest = MANIFEST

    def prepare_environment(self, folder: Path) -> None:
        """Return the key that encrypts access tokens: from the environment, otherwise one stored with the demo's data."""
        if os.environ.get(tokens.VARIABLE):
            return
        file = folder / "clinic-token.key"
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as out:
                out.write(Fernet.generate_key().decode())
        os.environ[tokens.VARIABLE] = file.read_text().strip()

    def load(
        self,
        connection: psycopg.Connection[tuple[Any, ...]],
        *,
        clinics: int,
        values: int,
        seed: int,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> Planted:
        """Create the legacy schema and fill it."""
        create_schema(connection, "public")
        return load(connection, schema="public", clinics=clinics, values=values, seed=seed, progress=progress)

    def compare(self, planted: Planted, report: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return, for each planted defect, how many exist, how many the migration found, and where it put them."""
        lines = []
        for defect in planted.defects:
            line: dict[str, Any] = {"code": defect.code, "planted": defect.count, "note": defect.note}
            how = _FOUND_AS.get(defect.code)
            if how is None:
                line |= {"found": None, "fate": "carried over"}
            else:
                kind, mapping, what = how
                line |= {"found": _count(report, kind, mapping, what.split()), "fate": _FATES[kind]}
            lines.append(line)
        return lines


_FATES = {"refused": "quarantined", "merged": "merged", "stale": "dead ids dropped"}


def _count(report: Mapping[str, Any], kind: str, mapping: str, what: list[str]) -> int:
    if kind == "merged":
        return sum(entry["count"] for entry in report["merged"] if entry["mapping"] == mapping)
    if kind == "stale":
        return sum(e["count"] for e in report["changes"] if e["mapping"] == mapping and e["column"] in what)
    wanted = {tuple(each.split(":")) for each in what}
    return sum(
        entry["count"]
        for entry in report["quarantine"]
        if entry["mapping"] == mapping and (entry["reason"], entry["column"]) in wanted
    )


DEMO = ClinicDemo()
