"""Results in the formats that others read: each is well formed, and says of every result what became of it."""

from __future__ import annotations

import json
from xml.etree import ElementTree as xml

import pytest

from tenantry.prove.formats import Result, SarifRule, as_json, as_junit, as_markdown, as_sarif, passed

RULES = [
    SarifRule("views", "Views show only what one may see", "error", "It shows the rows of all.", "alter view …"),
    SarifRule("sequences", "Nobody reads sequences", "warning", "They count.", "revoke …"),
]
RESULTS = [
    Result("views", "lint", 'app."Sold & <new>"', "failed", "anon reads | it\nall \x00\x0b", "error"),
    Result("sequences", "lint", "app.ticket", "failed", "anon has SELECT", "warning"),
    Result("rules", "lint", "", "passed"),
    Result("storage", "lint", "", "not applicable", "there is no schema storage", "info"),
    Result("viewer", "matrix", "app.notes", "not tried", "no row can be made"),
    Result("viewer", "matrix", "app.orgs", "passed"),
]


def test_only_errors_make_a_whole_fail() -> None:
    assert not passed(RESULTS)
    assert passed(RESULTS[1:])
    assert as_json(RESULTS, RULES)["counts"] == {"failed": 2, "passed": 2, "not applicable": 1, "not tried": 1}
    assert json.loads(json.dumps(as_json(RESULTS, RULES)))["results"][0]["object"] == 'app."Sold & <new>"'


def test_junit_has_a_suite_for_each_group_and_counts_that_add_up() -> None:
    text = as_junit(RESULTS, suite="tenantry", seconds=1.25)
    root = xml.fromstring(text)  # noqa: S314 - our own
    assert root.tag == "testsuites"
    assert (root.get("tests"), root.get("failures"), root.get("skipped"), root.get("errors")) == ("6", "1", "2", "0")
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["lint", "matrix"]
    for suite in suites.values():
        found = suite.findall("testcase")
        assert suite.get("tests") == str(len(found))
        assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
        assert suite.get("skipped") == str(len(suite.findall("testcase/skipped")))
    (failure,) = root.iter("failure")
    assert (failure.get("message") or "").startswith("anon reads | it")
    # What fails with a lesser level is said, and does not fail the suite.
    (said,) = root.iter("system-out")
    assert said.text == "warning: anon has SELECT"
    assert [each.get("message") for each in root.iter("skipped")] == [
        "not applicable: there is no schema storage",
        "not tried: no row can be made",
    ]


def test_sarif_has_what_version_2_1_0_requires() -> None:
    log = json.loads(json.dumps(as_sarif(RESULTS, RULES, artifact="tenantry.toml", page="https://example.org/checks")))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "tenantry"
    rules = driver["rules"]
    assert [rule["id"] for rule in rules] == ["views", "sequences"]
    for rule in rules:
        assert rule["shortDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
        assert rule["helpUri"] == f"https://example.org/checks#{rule['id']}"
    assert len(run["results"]) == 2
    for result in run["results"]:
        assert result["message"]["text"]
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("note", "warning", "error")
        assert result["kind"] == "fail"
        (location,) = result["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"] == "tenantry.toml"
        assert location["physicalLocation"]["region"]["startLine"] >= 1
        assert location["logicalLocations"][0]["fullyQualifiedName"].startswith("app.")
        assert result["partialFingerprints"]
    assert [each["outcome"] for each in run["properties"]["notTried"]] == ["not applicable", "not tried"]


def test_sarif_lists_rules_without_a_description() -> None:
    log = json.loads(json.dumps(as_sarif([Result("odd", "x", "", "failed", "so it is", "info")])))
    (run,) = log["runs"]
    assert run["tool"]["driver"]["rules"][0]["id"] == "odd"
    assert run["results"][0]["level"] == "note"
    assert "locations" not in run["results"][0]


@pytest.mark.parametrize("words", ["FAILED", "## Error: 1", "### views", "To fix it: alter view …", "## Not applicable",
                                   "## Not tried", "`rules`", "anon reads \\| it all"])  # fmt: skip
def test_markdown_lists_failed_untried_and_passed_results(words: str) -> None:
    assert words in as_markdown(RESULTS, RULES, title="Lint")


def test_an_empty_result_is_reported_as_empty() -> None:
    assert "nothing was looked at" in as_markdown([], title="Lint")
    assert passed([])
    assert 'tests="0"' in as_junit([], suite="tenantry")
