"""The recorded contract of sign-in: the scenarios are complete, and the comparison sees what differs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.integration.auth.player import challenge, differences, parted

FILES = sorted((Path(__file__).parents[2] / "fixtures" / "auth" / "contract").glob("*.json"))
BUILT_IN = {"base", "verifier", "challenge", "now", "service", "anon"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_request_has_an_answer_and_each_name_a_value(file: Path) -> None:
    scenarios = json.loads(file.read_text(encoding="utf-8"))
    assert len({each["name"] for each in scenarios}) == len(scenarios)
    faults = []
    for scenario in scenarios:
        known = set(BUILT_IN)
        for number, step in enumerate(scenario["steps"]):
            place = f"{scenario['name']} {number}"
            asked = {key: value for key, value in step.items() if key != "answer"}
            faults += [f"{place}: {name} has no value" for name in used(asked) - known]
            faults += [f"{place}: {name} is not known" for name in used(step.get("answer")) - known]
            if "do" in step and not isinstance(step.get("answer", {}).get("status"), int):
                faults.append(f"{place}: no answer")
            known |= step.get("keep", {}).keys()
    assert faults == []


def used(value: Any) -> set[str]:
    return set(re.findall(r"\{\{(\w+)\}\}", json.dumps(value)))


def test_every_address_is_invented() -> None:
    hosts = {host for file in FILES for host in re.findall(r"@([\w.]+\.\w+)", file.read_text(encoding="utf-8").lower())}
    assert hosts == {"praxis.example"}


def test_a_difference_is_named_by_its_place() -> None:
    want = {
        "id": "<uuid>",
        "n": 1,
        "list": [{"at": "<time>"}],
        "link": {"url": "https://a.example/x", "query": {"code": "<word>"}},
    }
    good = {
        "id": "7c1f5b52-9a7e-4a55-8d0e-0a3f6f0f9d11",
        "n": 1,
        "list": [{"at": "2026-01-02T03:04:05.6Z"}],
        "link": "https://a.example/x?code=abc",
    }
    assert list(differences(want, good)) == []
    bad = {**good, "id": "7", "n": True, "list": [{}], "link": "https://a.example/y?code=abc&more=1", "extra": None}
    assert list(differences(want, bad)) == [
        "extra: None is too much",
        "id: want '<uuid>', got '7'",
        "link.query.more: '1' is too much",
        "link.url: want 'https://a.example/x', got 'https://a.example/y'",
        "list.0.at: missing, want '<time>'",
        "n: want 1, got True",
    ]
    assert list(differences([1], [1, 2])) == [": want [1], got [1, 2]"]


def test_a_url_is_read_by_its_parts() -> None:
    assert parted("https://a.example/x#e=1&f=") == {"url": "https://a.example/x", "fragment": {"e": "1", "f": ""}}
    assert parted("https://a.example/x") == "https://a.example/x"
    assert challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_each_listed_difference_is_a_step_and_has_its_reason_in_the_documentation() -> None:
    root = Path(__file__).parents[3]
    reasons = json.loads((FILES[0].parents[1] / "contract_differences.json").read_text(encoding="utf-8"))
    places = {
        f"{file.stem}: {scenario['name']}, {number}"
        for file in FILES
        for scenario in json.loads(file.read_text(encoding="utf-8"))
        for number in range(len(scenario["steps"]))
    }
    listed = [place for each in reasons.values() for place in each]
    assert (sorted(set(listed) - places), len(listed) - len(set(listed))) == ([], 0)
    page = (root / "docs/reference/sign-in-differences.md").read_text(encoding="utf-8")
    assert sorted(reasons) == sorted(re.findall(r"^### (.+)$", page, re.MULTILINE))
    asked = sum(
        "do" in step for file in FILES for each in json.loads(file.read_text("utf-8")) for step in each["steps"]
    )
    assert f"The same {asked:,} requests went to both" in " ".join(page.split())
