"""docs/reference/attacks.md: all attacks, from their own texts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tenantry.prove.attacks.harness.model import FAMILIES, Attack
from tenantry.prove.attacks.run import ATTACKS

_TITLES = {
    "reads": "Reads",
    "session": "The session and the context",
    "writes": "Writes",
    "context": "The caller's identity",
    "privileges": "Privileges",
}


def page() -> str:
    """Return the page: by family, what each attack tries and would gain, where the idea comes from, and whether the catalog can answer."""
    return "\n".join([*_lines(), ""])


def _lines() -> Iterator[str]:
    yield "# The attacks of the proof"
    yield ""
    yield (
        f"{len(ATTACKS)} ways to reach another tenant's rows, or rights that no client should have. Each is tried with real logins"
        " and second sessions on a copy of the database that the proof makes, with two synthetic tenants. The attacker"
        " is an administrator of one of them, and can run any SQL on a connection of the application. Tables, roles"
        " and columns come from the manifest. An attack **holds** (nothing was gained), is **broken**, or does not apply, and then"
        " gives the reason; an error of the proof itself counts as a failure."
    )
    yield ""
    yield (
        "Where nothing may be tried, e.g. on production, the catalog is asked for the right that would allow an attack. Attacks that"
        " it can answer for are marked with ◆. This page is generated from the attacks' own texts."
    )
    yield ""
    yield "## What PostgreSQL allows every client"
    yield ""
    yield (
        "No schema prevents some attacks, since PostgreSQL allows them to everyone who can run their own statements: take time, and"
        " measure it; explain statements, and see how many rows were filtered out; change their own password, and their login's"
        " settings, which apply only if the application does not set them; take advisory locks;"
        " wait for locks to which they have no right; notify, and write messages for readers of the write-ahead log;"
        " fill the disk with large objects. They reveal no row of another tenant, but allow counting, guessing and disturbance. The"
        " proof reports those that can be tested (`explain_…`, `lock_table`, `lock_queue`, `fill_the_lock_table`,"
        " `end_others_sessions`). One is accepted only with a stated reason, which the result shows."
    )
    for family in FAMILIES:
        chosen = [each for each in ATTACKS if each.family == family]
        yield ""
        yield f"## {_TITLES[family]} ({len(chosen)})"
        yield ""
        yield "| Attack | What it tries | What it would gain | Idea |"
        yield "| --- | --- | --- | --- |"
        yield from (_row(each) for each in chosen)


def _row(each: Attack) -> str:
    name = f"`{each.name}`{' ◆' if each.rights is not None else ''}"
    return f"| {name} | {_text(each.tries)} | {_text(each.gains)} | {_links(each.source)} |"


def _text(text: str) -> str:
    return text.replace("|", "\\|")


def _links(source: str) -> str:
    """Addresses as links, the CVE's among them."""
    text = re.sub(r"https?://\S+", lambda found: f"[{_short(found[0])}]({found[0]})", source)
    return re.sub(r"CVE-\d{4}-\d+", lambda found: f"[{found[0]}](https://nvd.nist.gov/vuln/detail/{found[0]})", text)


def _short(address: str) -> str:
    return address.partition("://")[2].partition("/")[0].removeprefix("www.")
