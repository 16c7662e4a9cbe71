"""The reference of the manifest is whole: every key of the model stands in its section, and every example is read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from tenantry.manifest import model

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "manifest.md"

SECTIONS: dict[str, type[BaseModel]] = {
    "Top level": model.Manifest,
    "source": model.Source,
    "target": model.Target,
    "ids": model.Ids,
    "tenant": model.TenantSection,
    "Tenants from values": model.ValueTenants,
    "membership": model.Membership,
    "roles": model.Roles,
    "users": model.Users,
    "invitations": model.Invitations,
    "database_roles": model.DatabaseRoles,
    "context": model.Context,
    "shares": model.Share,
    "tables": model.TableRule,
    "Several sources": model.SourceRule,
    "merge": model.Merge,
    "access": model.Access,
    "columns": model.ColumnRule,
    "rules": model.Rule,
    "throttle": model.Throttle,
    "plan": model.PlanSection,
}


def sections() -> dict[str, str]:
    pieces = re.split(r"^##+ (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def keys(record: type[BaseModel]) -> dict[str, bool]:
    """The keys as they stand in the file, and whether they must be given."""
    return {
        field.alias or name: field.is_required() for name, field in record.model_fields.items() if not field.exclude
    }


def listed(text: str) -> dict[str, str]:
    """The keys of the table of keys, with their defaults."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]
    return {cells[0].strip("`"): cells[2] for cells in rows if len(cells) == 4}


def records() -> Iterator[type[BaseModel]]:
    for each in vars(model).values():
        if isinstance(each, type) and issubclass(each, BaseModel) and each.__module__.startswith("tenantry."):
            yield each


@pytest.mark.parametrize("name", SECTIONS)
def test_every_key_is_documented_in_its_section_with_its_default(name: str) -> None:
    got = listed(sections()[name])
    want = keys(SECTIONS[name])
    assert got.keys() == want.keys()
    assert {key: not default for key, default in got.items()} == want


def test_every_record_of_the_model_has_its_section_or_its_words() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rest = [record for record in records() if record not in SECTIONS.values() and record.model_fields]
    assert {record.__name__ for record in rest} == {
        "Default",
        "Correct",
        "PythonTransform",
        "Own",
        "Colleagues",
        "Through",
        "LinkColumn",
        "LinkFile",
    }
    for record in rest:
        for key in keys(record):
            assert f"{key} = " in text


def test_the_examples_are_manifests() -> None:
    examples = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) >= len(SECTIONS)
    merged: dict[str, object] = {}
    for example in examples:
        merge(merged, tomllib.loads(example))
    tables = merged["tables"]
    assert isinstance(tables, dict)
    cell = dict.fromkeys(("select", "insert", "update", "delete"), "service")
    for name, table in tables.items():
        table.setdefault("access", cell)
        if "sources" not in table and name != "notifications":
            table.setdefault("from", "x")
    made = model.Manifest.model_validate(merged)
    assert made.tables["metric_values"].columns["title"].null == model.Correct(correct="s.name")


def merge(into: dict[str, object], more: dict[str, object]) -> None:
    for key, value in more.items():
        there = into.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            merge(there, value)
        else:
            into[key] = value
