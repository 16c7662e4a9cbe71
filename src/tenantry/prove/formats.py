"""Formats results as JSON, JUnit XML, SARIF and Markdown. Pure, and independent of what produced them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal
from xml.etree import ElementTree as xml  # only written here, never read

from tenantry import __version__

Outcome = Literal["passed", "failed", "not applicable", "not tried"]
Level = Literal["error", "warning", "info"]

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_SARIF_LEVELS: Mapping[str, str] = {"error": "error", "warning": "warning", "info": "note"}
_UNPRINTABLE = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 65534, 65535, *range(55296, 57344)), "�")
"""Characters that XML 1.0 cannot hold, even escaped."""


@dataclass(frozen=True, slots=True)
class Result:
    """One check or attempt.

    Attributes:
        name: what was tried, e.g. the name of a check.
        group: the part that it belongs to, e.g. `lint`.
        object: what it was tried on; empty for the whole database.
        message: the finding, or why it was not tried.
        level: the severity of a failure; only errors make a run fail.
    """

    name: str
    group: str
    object: str
    outcome: Outcome
    message: str = ""
    level: Level = "error"

    @property
    def counts(self) -> bool:
        """Whether it makes the whole run fail."""
        return self.outcome == "failed" and self.level == "error"


@dataclass(frozen=True, slots=True)
class SarifRule:
    """The description of a name, for formats that describe their rules."""

    name: str
    title: str
    level: Level = "error"
    why: str = ""
    fix: str = ""


def passed(results: Sequence[Result]) -> bool:
    return not any(result.counts for result in results)


def as_json(results: Sequence[Result], rules: Sequence[SarifRule] = ()) -> dict[str, object]:
    """Return, for json.dumps, the results, their rules, and the number of each outcome."""
    return {
        "passed": passed(results),
        "counts": dict(Counter(result.outcome for result in results)),
        "results": [asdict(result) for result in results],
        "rules": [asdict(rule) for rule in rules],
    }


# -- JUnit -------------------------------------------------------------------------------------------------------------


def as_junit(results: Sequence[Result], *, suite: str, seconds: float = 0) -> str:
    """Return JUnit XML: a suite for each group, a case for each result.

    A result that fails with level error is a failure. With a lower level the case passes and reports it in its output, since it
    does not make the run fail either. Results that were not applicable or not tried are skipped, with the reason.
    """
    root = xml.Element("testsuites", _totals(results, suite, seconds))
    for group in dict.fromkeys(result.group for result in results):
        mine = [result for result in results if result.group == group]
        element = xml.SubElement(root, "testsuite", _totals(mine, group, seconds))
        for result in mine:
            _case(element, result)
    xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(root, encoding="unicode") + "\n"


def _totals(results: Sequence[Result], name: str, seconds: float) -> dict[str, str]:
    return {
        "name": _clean(name),
        "tests": str(len(results)),
        "failures": str(sum(result.counts for result in results)),
        "errors": "0",
        "skipped": str(sum(result.outcome in ("not applicable", "not tried") for result in results)),
        "time": f"{seconds:.3f}",
    }


def _case(parent: xml.Element, result: Result) -> None:
    name = f"{result.name}: {result.object}" if result.object else result.name
    case = xml.SubElement(parent, "testcase", {"classname": _clean(result.group), "name": _clean(name)})
    message = _clean(result.message)
    if result.counts:
        xml.SubElement(case, "failure", {"type": result.level, "message": message}).text = message
    elif result.outcome == "failed":
        xml.SubElement(case, "system-out").text = f"{result.level}: {message}"
    elif result.outcome != "passed":
        xml.SubElement(case, "skipped", {"message": _clean(f"{result.outcome}: {result.message}")})


def _clean(text: str) -> str:
    return text.translate(_UNPRINTABLE)


# -- SARIF -------------------------------------------------------------------------------------------------------------


def as_sarif(
    results: Sequence[Result], rules: Sequence[SarifRule] = (), *, artifact: str = "", page: str = ""
) -> dict[str, object]:
    """Return SARIF 2.1.0, for json.dumps: one run whose results are the failed ones; its properties name the others.

    Args:
        artifact: the path in the repository to which results are attached (the manifest), since code scanning requires a file.
        page: the address of the rules' documentation, in which each rule's name is an anchor.
    """
    known = {rule.name: rule for rule in rules}
    names = list(dict.fromkeys([*known, *(result.name for result in results if result.outcome == "failed")]))
    index = {name: number for number, name in enumerate(names)}
    driver: dict[str, object] = {
        "name": "tenantry",
        "semanticVersion": __version__,
        "rules": [_sarif_rule(known.get(name, SarifRule(name, name)), page) for name in names],
    }
    others = [asdict(result) for result in results if result.outcome in ("not applicable", "not tried")]
    return {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "results": [
                    _sarif_result(result, index[result.name], artifact)
                    for result in results
                    if result.outcome == "failed"
                ],
                "properties": {"notTried": others},
            }
        ],
    }


def _sarif_rule(rule: SarifRule, page: str) -> dict[str, object]:
    text = " ".join(part for part in (rule.why, rule.fix) if part)
    found: dict[str, object] = {
        "id": rule.name,
        "shortDescription": {"text": rule.title},
        "defaultConfiguration": {"level": _SARIF_LEVELS[rule.level]},
    }
    if text:
        found["fullDescription"] = {"text": rule.why or rule.title}
        found["help"] = {"text": text}
    if page:
        found["helpUri"] = f"{page}#{rule.name}"
    return found


def _sarif_result(result: Result, index: int, artifact: str) -> dict[str, object]:
    where: dict[str, object] = {}
    if artifact:
        where["physicalLocation"] = {"artifactLocation": {"uri": artifact}, "region": {"startLine": 1}}
    if result.object:
        where["logicalLocations"] = [{"fullyQualifiedName": result.object, "kind": "object"}]
    text = f"{result.object}: {result.message}" if result.object else result.message
    found: dict[str, object] = {
        "ruleId": result.name,
        "ruleIndex": index,
        "level": _SARIF_LEVELS[result.level],
        "kind": "fail",
        "message": {"text": text},
        # Stays the same from run to run, so that a dismissed finding stays dismissed.
        "partialFingerprints": {"tenantry/v1": f"{result.name}|{result.object}|{result.message}"},
    }
    if where:
        found["locations"] = [where]
    return found


# -- Markdown ----------------------------------------------------------------------------------------------------------


def as_markdown(results: Sequence[Result], rules: Sequence[SarifRule] = (), *, title: str) -> str:
    """Return failures by level, with their fixes; untried results, with the reason; and the names of the others."""
    known = {rule.name: rule for rule in rules}
    lines = [f"# {title}: {'passed' if passed(results) else 'FAILED'}", "", _counted(results), ""]
    for level in ("error", "warning", "info"):
        failed = [result for result in results if result.outcome == "failed" and result.level == level]
        if not failed:
            continue
        lines += [f"## {level.capitalize()}: {len(failed)}", ""]
        for name in dict.fromkeys(result.name for result in failed):
            rule = known.get(name, SarifRule(name, name))
            lines += [f"### {name}", "", f"{rule.title}. {rule.why}".strip(), ""]
            lines += [
                f"- {_code(result.object)}{': ' if result.object else ''}{_line(result.message)}"
                for result in failed
                if result.name == name
            ]
            lines += ["", f"To fix it: {rule.fix}", ""] if rule.fix else [""]
    for outcome in ("not applicable", "not tried"):
        left = [result for result in results if result.outcome == outcome]
        if left:
            lines += [f"## {outcome.capitalize()}", ""]
            lines += [
                f"- {result.name}{' ' + _code(result.object) if result.object else ''}: {_line(result.message)}"
                for result in left
            ]
            lines.append("")
    good = [result for result in results if result.outcome == "passed"]
    if good:
        lines += ["## Passed", "", ", ".join(dict.fromkeys(_code(result.name) for result in good)), ""]
    return "\n".join(lines)


def _counted(results: Sequence[Result]) -> str:
    counts = Counter(result.outcome for result in results)
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "nothing was looked at"


def _code(text: str) -> str:
    return f"`{' '.join(text.replace('`', chr(39)).splitlines())}`" if text else ""


def _line(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")
