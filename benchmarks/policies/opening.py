"""A reading transaction with one trivial query, opened in four ways, which take turns; the fastest tenth counts, and ratios
to the second way.

The server keeps its commits on disk as it does in production (fsync, synchronous_commit), which the table of used tokens pays for.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from statistics import quantiles
from typing import Any

from benchmarks.copying.main import Figure
from benchmarks.policies.main import KEY, Connection, World, world
from tenantry.access import context_sql
from tenantry.postgres.seal import claims_text
from tenantry.postgres.tenant import tenant

_LABEL = b"tenantry open v1"


def _older(place: World) -> None:
    """open() of two other kinds: a token good for its lifetime, and one that is remembered in a table until then."""
    text = context_sql(place.project.manifest)
    begin = text.index("create or replace function tenantry.open(")
    body = text[begin : text.index("$$;", text.index("$$", begin) + 2) + 3]
    by_time = body.replace("|| tenantry.challenge() || '.'", "").replace("tenantry.open(", "tenantry.open_by_time(")
    remembered = by_time.replace("open_by_time(", "open_remembered(").replace(
        "    perform set_config('request.jwt.claims'",
        "    insert into tenantry.used_token values (sha256(convert_to(token, 'UTF8')), clock_timestamp() + interval '35 s');\n"
        "    perform set_config('request.jwt.claims'",
        1,
    )
    assert len({body, by_time, remembered}) == 3
    with place.owner() as owner:
        for statement in (
            "create table tenantry.used_token (token bytea primary key, until timestamptz not null)",
            by_time,
            remembered,
            "grant execute on function tenantry.open_by_time(text, text), tenantry.open_remembered(text, text) to tenantry_login",
        ):
            owner.execute(statement.encode())


def _token(claims: str) -> str:
    """As before there was a challenge."""
    issued = f"{int(time.time() * 1000):013d}"
    derived = hmac.new(KEY.secret, _LABEL, hashlib.sha256).digest()
    mac = hmac.new(derived, f"{KEY.kid}.{issued}.{claims}".encode(), hashlib.sha256).hexdigest()
    return f"{KEY.kid}.{issued}.{mac}"


def _one_trip(login: Connection, opening: str, parameters: list[str]) -> None:
    with login.pipeline():
        login.execute("begin")
        login.execute(
            f"select {opening} set_config('role', 'authenticated', true), set_config('search_path', 'app', true),"
            " set_config('statement_timeout', '30s', true), set_config('lock_timeout', '5s', true),"
            " set_config('idle_in_transaction_session_timeout', '60s', true)".encode(),
            parameters,
        )
        login.execute("select 1").fetchone()
    login.execute("commit")


def take(place: World, repeat: int) -> dict[str, float]:
    """Milliseconds by way."""
    _older(place)
    said = {"sub": place.people[1], "role": "authenticated"}
    claims = claims_text(said)

    def challenge(login: Connection) -> None:
        with tenant(login, said, KEY, schema="app") as me:
            me.execute("select 1").fetchone()

    ways: dict[str, Callable[[Connection], None]] = {
        "no seal": lambda login: _one_trip(login, "", []),
        "token good for its lifetime": lambda login: _one_trip(
            login, "tenantry.open_by_time(%s, %s),", [claims, _token(claims)]
        ),
        "used tokens in a table": lambda login: _one_trip(
            login, "tenantry.open_remembered(%s, %s),", [claims, _token(claims)]
        ),
        "challenge": challenge,
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with place.login() as login:
        for _ in range(repeat):
            for name, way in ways.items():
                begun = time.perf_counter()
                way(login)
                taken[name].append(time.perf_counter() - begun)
                time.sleep(0.0005)  # no two tokens of one millisecond
    return {name: 1000 * quantiles(times, n=10)[0] for name, times in taken.items()}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python benchmarks/opening.py", description=__doc__)
    parser.add_argument("--version", type=int, default=18, choices=[15, 16, 18])
    parser.add_argument("--repeat", type=int, default=2000)
    parser.add_argument("--quick", action="store_true", help="200 transactions of each kind")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    given = parser.parse_args()
    with world(given.version, rows=1000, tenants=10, durable=True) as place:
        found = take(place, 200 if given.quick else given.repeat)
    base = found["token good for its lifetime"]
    figures = [Figure(f"pg{given.version}: {name}", round(value, 3), "ms") for name, value in found.items()]
    figures += [
        Figure(f"pg{given.version}: {name} / token good for its lifetime", round(value / base, 2), "x")
        for name, value in found.items()
    ]
    if given.json:
        print(json.dumps({"figures": [_plain(each) for each in figures]}))
    else:
        for each in figures:
            print(f"{each.name:60} {each.value:8} {each.unit}")
    return 0


def _plain(figure: Figure) -> dict[str, Any]:
    return {"name": figure.name, "value": figure.value, "unit": figure.unit}
