"""The parts of docs/reference/transforms.md that the transforms say themselves."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator

from tenantry.mapping.transform import BOOLEAN, DATE, INSTANT, JSON, NUMBER, TEXT, Examples, Invalid, Transform
from tenantry.mapping.transforms import transforms

_ORDER = (NUMBER, BOOLEAN, TEXT, INSTANT, DATE, JSON)

_OTHER_WAYS = (
    ("text cast into a number", "its digits", "NaN, infinity, texts longer than the column"),
    ("text cast into `boolean`", "`true` and `false`; `t` and `f` in shorter columns", ""),
    ("`map`", "the first word of the source for the value, or the one in `down`", "values that no word means"),
    ("`python`", "its `down`", "values that it refuses"),
    ("`up`", "its `down`", "without it, every value"),
    ("plain cast", "a plain cast", "values that the source's type cannot hold"),
)


def page(text: str) -> str:
    """The page with its generated parts made again; each stands between `<!-- name -->` and `<!-- end of name -->`."""
    for name, lines in (("transforms", _sections()), ("reverse", _ways_back())):
        before, begun, rest = text.partition(f"<!-- {name} -->\n")
        _, ended, after = rest.partition(f"<!-- end of {name} -->\n")
        if not begun or not ended:
            raise ValueError(f"the page has no part <!-- {name} --> … <!-- end of {name} -->")
        text = f"{before}{begun}\n" + "\n".join(lines) + f"\n{ended}{after}"
    return text


def _in_order() -> list[Transform]:
    """By what they give, then by name."""
    return sorted(
        transforms().values(), key=lambda each: _ORDER.index(each.gives) if each.gives in _ORDER else len(_ORDER)
    )


def _sections() -> Iterator[str]:
    yield from ("| transform | reads | gives |", "| --- | --- | --- |")
    for each in _in_order():
        reads = each.reads[-1].words if each.reads else "anything"
        yield f"| [`{each.name}`](#{each.name}) | {reads} | {each.gives.words} |"
    yield ""
    for each in _in_order():
        yield from (f"## {each.name}", "", inspect.cleandoc(each.__doc__ or ""), "")
        for examples in each.examples:
            yield from _examples(each, examples)


def _examples(transform: Transform, examples: Examples) -> Iterator[str]:
    zone = f" in {examples.zone}" if examples.zone else ""
    yield f"| {examples.source} | {transform.name}{zone} into {examples.target} |"
    yield "| --- | --- |"
    for given, made in examples.rows.items():
        shown = json.dumps(given, ensure_ascii=False).replace("\u00a0", "\\u00a0")
        if isinstance(made, Invalid):
            yield f"| `{shown}` | refused{': ' if made.why else ''}{made.why} |"
        else:
            yield f"| `{shown}` | `{made}` |"
    yield ""


def _ways_back() -> Iterator[str]:
    """Yield the table; transforms with the same reverse conversion share a row."""
    shared: dict[tuple[str, str], list[str]] = {}
    for each in _in_order():
        shared.setdefault((each.back, each.back_never), []).append(f"`{each.name}`")
    rows = [(", ".join(names), back, never) for (back, never), names in shared.items()]
    yield from ("| forward | reverse | not possible for |", "| --- | --- | --- |")
    for there, back, never in (*rows, *_OTHER_WAYS):
        yield f"| {there} | {back} | {never}{' ' if never else ''}|"
    yield ""
