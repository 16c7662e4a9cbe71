from __future__ import annotations

import re
from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.mapping import Mapping
from tenantry.mapping.client_columns import changed_columns

_NAME = r"""'(?:[^']|'')*'|\b{}\.(?:"((?:[^"]|"")+)"|([A-Za-z_][\w$]*))"""
_OF_TENANT, _OF_SOURCE = (re.compile(_NAME.format(alias)) for alias in ("tenant", "s"))


class TenantValues(AnalysisRule):
    """Rows were converted with a value of their tenant's row (`tenant.<column>`, such as a time zone). If a client changes a
    source of this value after the cut-over, these rows would be converted differently: `verify` reports them, and a later
    cut-over stops. Omit the named columns from `update_columns`, so that only the service changes them.
    """

    code = "TA-164"
    severity = "warning"
    area = "tenancy"
    title = "clients can change a value that other rows were converted with"

    def find(self, case: Case) -> Iterator[Finding]:
        manifest = case.project.manifest
        for root in case.project:
            access = manifest.tables[root.target.name].access
            if not root.is_root or access.update == "service":
                continue
            readers = _readers(case, root)
            read = set().union(*(_sources(root, name) for name in readers))
            open_columns = changed_columns(root.target, access, manifest.tenant)
            writable = [name for name in open_columns if name in readers or _sources(root, name) & read]
            if writable:
                derived = sorted(set().union(*readers.values()))
                named = f"{', '.join(derived[:5])}{' …' if len(derived) > 5 else ''}"
                yield self.finding(
                    root.target.name, f"clients can change {', '.join(writable)}, and {named} were converted with it",
                    advice=f"Omit {', '.join(writable)} from update_columns (or name them in fixed): a change after the cut-over makes verify"
                    " and the next cut-over report those rows.",
                )  # fmt: skip


def _readers(case: Case, root: Mapping) -> dict[str, set[str]]:
    """By column of the tenant's row: the columns that are converted with its value, as table.column."""
    found: dict[str, set[str]] = {}
    for mapping in case.project:
        for column in mapping.columns:
            if column.zoned:
                for name in _names(_OF_TENANT, column.value):
                    if root.target.column(name) is not None:
                        found.setdefault(name, set()).add(f"{mapping.target.name}.{column.name}")
    return found


def _sources(root: Mapping, name: str) -> set[str]:
    """Return the source columns that a target column of the tenant's row is made from."""
    column = next((each for each in root.columns if each.name == name), None)
    if column is None:
        return set()
    return _names(_OF_SOURCE, column.value) | ({column.source} if column.source else set())


def _names(pattern: re.Pattern[str], sql: str) -> set[str]:
    return {quoted.replace('""', '"') or plain.lower() for quoted, plain in pattern.findall(sql) if quoted or plain}
