"""Beside the real server: its recorded answers, and what ours answers to the same requests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from tenantry.auth.keys import FixedKeys, SigningKeys, new_key, secret_key
from tenantry.auth.passwords import Passwords
from tenantry.auth.server.database import Database as ServerDatabase
from tenantry.auth.server.state import SignInServer
from tenantry.auth.settings import sign_in_settings
from tests.conftest import Database
from tests.integration.auth.player import SECRET, Message, Player, differences
from tests.integration.auth.sign_in import KeptMails, serving

FOLDER = Path(__file__).parents[2] / "fixtures" / "auth"
FILES = sorted((FOLDER / "contract").glob("*.json"))
BASE = "http://auth.praxis.example"
SETTINGS = {
    "API_EXTERNAL_URL": BASE,
    "GOTRUE_JWT_ISSUER": BASE,
    "GOTRUE_SITE_URL": "https://praxis.example",
    "GOTRUE_URI_ALLOW_LIST": "https://app.praxis.example/**",
    "GOTRUE_SMTP_MAX_FREQUENCY": "1ms",
    **{
        f"GOTRUE_RATE_LIMIT_{name}": "100000"
        for name in ("TOKEN_REFRESH", "VERIFY", "OTP", "ANONYMOUS_USERS", "EMAIL_SENT")
    },
    "GOTRUE_MFA_RATE_LIMIT_CHALLENGE_AND_VERIFY": "100000",
}
"""The settings with which the answers were recorded; a scenario adds its own."""
EMPTY = """
    delete from auth.users; delete from auth.flow_state; delete from auth.audit_log_entries; delete from tenantry_auth.rate_limits
"""
"""Faster than TRUNCATE for a few rows; sessions and the rest go with their users."""


HARMLESS = re.compile(
    # Ours forbids to store any answer, names the code of each error in its header, and sends no page with a redirect.
    r"headers\.cache-control: 'no-store' is too much"
    r"|headers\.x-sb-error-code: '\w+' is too much"
    r"|headers\.content-type: missing, want 'text/(html|plain); charset=utf-8'"
    # The time of a confirmation is in the first answer already; lists show identities.
    r"|body\.(user\.)?confirmed_at: '.*' is too much"
    r"|body\.users\.\d+\.identities: want None, got .*"
    # What it is, and what another product configures.
    r"|body\.(version|description): .*"
    r"|body\.saml_private_key_next_configured: .*"
    r"|body\.keys\.0\.ext: True is too much"
    r"|headers\.access-control-allow-credentials: missing, want 'true'",
    re.DOTALL,
)
"""Differences that docs/reference/sign-in-differences.md lists once for all answers."""


@contextmanager
def playing(database: Database, settings: Mapping[str, str]) -> Iterator[Player]:
    values = {"DATABASE_URL": database.dsn, "TENANTRY_AUTH_MAIL_ANSWER": "0s", **SETTINGS, **settings}
    outbox = KeptMails(room=100_000)
    keys = FixedKeys(SigningKeys((new_key(), secret_key(SECRET, signs=False))))
    server = SignInServer(sign_in_settings(values), keys, Passwords(2, cost=4), ServerDatabase(database.dsn, 4), outbox)

    def messages(address: str) -> list[Message]:
        return [Message(mail.to, f"{mail.code} {mail.link}") for mail in outbox.mails if mail.to == address]

    with ExitStack() as stack:
        owner = stack.enter_context(psycopg.connect(database.dsn, autocommit=True, row_factory=dict_row))
        address = stack.enter_context(serving(server))
        client = stack.enter_context(httpx.Client(timeout=30))

        def sql(statement: str) -> Mapping[str, object]:
            cursor = owner.execute(statement.encode())
            return (cursor.fetchone() or {}) if cursor.description else {}

        def empty() -> None:
            owner.execute(EMPTY)
            outbox.mails.clear()

        yield Player(client, address, BASE, messages, sql, empty)


def play(database: Database, scenarios: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Play scenarios, and return what differs by the scenario and the number of the step."""
    found: dict[str, list[str]] = {}
    by_settings = sorted(scenarios, key=lambda each: json.dumps(each.get("settings", {})))
    for _, group in groupby(by_settings, key=lambda each: json.dumps(each.get("settings", {}))):
        each = list(group)
        with playing(database, each[0].get("settings", {})) as player:
            for scenario in each:
                player.begin()
                for number, step in enumerate(scenario["steps"]):
                    place = f"{scenario['name']}, {number}"
                    try:
                        outcome = player.play(step)
                        want = player.filled(step.get("answer", {}))
                        if seen := different(want, outcome):
                            found[place] = seen
                        player.keep(step, outcome)
                    except (LookupError, TypeError, AssertionError) as problem:
                        found[place] = [*found.get(place, ()), f"stops here: {problem!r}"]
                        break
    return found


def different(want: dict[str, Any], outcome: dict[str, Any]) -> list[str]:
    """What differs in an answer; of another status only that, and its code."""
    if not want:
        return []
    got = {key: value for key, value in outcome.items() if key in want}
    if want["status"] != got["status"]:
        code = outcome["headers"].get("x-sb-error-code", "")
        return [f"status: want {want['status']}, got {got['status']} {code}".rstrip()]
    return [each for each in differences(want, got) if not HARMLESS.fullmatch(each)]


def known(family: str) -> dict[str, str]:
    """The places of a family that differ and may, with the heading of docs/reference/sign-in-differences.md that says why."""
    reasons = json.loads((FOLDER / "contract_differences.json").read_text(encoding="utf-8"))
    return {place: reason for reason, places in reasons.items() for place in places if place.startswith(f"{family}: ")}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_answers_are_those_of_the_real_server_or_listed(accounts: Database, file: Path) -> None:
    found = play(accounts, json.loads(file.read_text(encoding="utf-8")))
    seen = {f"{file.stem}: {place}": lines for place, lines in found.items()}
    allowed = known(file.stem)
    assert {place: lines for place, lines in seen.items() if place not in allowed} == {}
    assert sorted(allowed.keys() - seen.keys()) == [], "no longer different"
