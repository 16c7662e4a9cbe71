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
    "context": "Who one is",
    "privileges": "Privileges",
}


def page() -> str:
    """Family by family: what each attack tries, what it would gain, where the idea is from, and what production is asked."""
    return "\n".join([*_lines(), ""])


def _lines() -> Iterator[str]:
    yield "# The attacks of the proof"
    yield ""
    yield (
        f"{len(ATTACKS)} ways to get at another tenant's rows, or at rights that nobody should have. Each is tried with real logins"
        " and second sessions on a copy of the database that the proof makes for itself, with two invented tenants; the attacker"
        " is an administrator of one of them, and may run whatever SQL he likes on a connection of the application. Tables, roles"
        " and columns are the manifest's. An attack **holds** (nothing was gained), is **broken**, or does not apply, and then says"
        " why; an error of the proof itself counts as a failure."
    )
    yield ""
    yield (
        "Where nothing may be tried, as on production, the catalog is asked for the right that would allow an attack; those that it"
        " can answer for are marked with ◆. This page is generated from the attacks' own texts."
    )
    yield ""
    yield "## What PostgreSQL lets everybody do"
    yield ""
    yield (
        "Some of it no schema prevents, since PostgreSQL lets whoever runs statements of his own do it: take time, and measure it;"
        " explain statements, and see how many rows were passed over; change the own password, and the own login's settings, which"
        " count only where the application does not state them; take advisory locks;"
        " wait for locks that they will be refused; notify, and write messages for those who read the write-ahead log;"
        " fill the disk with large objects. No row of another tenant comes of these, but numbers, guesses and disturbance may. The"
        " proof tells of those that can be told (`explain_…`, `lock_table`, `lock_queue`, `fill_the_lock_table`,"
        " `end_others_sessions`); one that is accepted is accepted with a stated reason, and the result"
        " shows it."
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
