"""Play the scenarios of tests/fixtures/auth/contract against a sign-in server, and say where an answer differs from the recorded one.

A file holds scenarios, a scenario holds steps. A step is one of:

- `{"do": "POST /signup", "json": {…}, "answer": {…}}`: a request. `text` instead of `json` is sent as it stands; `as` is a bearer
  token; `headers` are further headers; `"plain": true` leaves out the header `X-Supabase-Api-Version`, which clients send.
- `{"mail": "mira@praxis.example"}`: the newest message to this address: `code`, `link` and the link's `token`, `type`, `redirect_to`.
- `{"sql": "update auth.users …"}`: sets a state that no request can, such as a time in the past; its first row has columns as keys.
- `{"totp": "{{secret}}"}`: `code`, the one-time code of an authenticator for now.
- `{"mint": {"sub": …}, "key": "secret"}`: `token`, signed with the shared secret, or not as it should be: see `Player.mint`.

`keep` gives values of a step's outcome a name, by path: `{"token": "body.access_token"}`. `{{token}}` stands for the value from then on,
in what is sent and in what is expected. In an expected answer `<uuid>`, `<time>`, `<jwt>` and so on (PATTERNS) stand for any such text,
`<int>` for any number, and a text that is a URL with a query or a fragment is written as an object, each parameter by itself.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import pyotp
from joserfc import jws
from joserfc.jwk import OctKey

VERSION = "2024-01-01"
SECRET = "a-shared-secret-of-forty-characters-0001"
FOREIGN_SECRET = "another-secret-that-no-server-knows-0002"
VERIFIER = "a-verifier-that-only-the-first-browser-knows-0123456789"
HEADERS = (
    "content-type",
    "x-sb-error-code",
    "x-supabase-api-version",
    "link",
    "x-total-count",
    "cache-control",
    "location",
    "retry-after",
    "allow",
    "www-authenticate",
    "set-cookie",
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-allow-credentials",
    "access-control-expose-headers",
    "access-control-max-age",
)
"""The headers that are compared; one that was not recorded must not be sent either."""

PATTERNS = {
    "<uuid>": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "<time>": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"),
    "<jwt>": re.compile(r"[\w-]+\.[\w-]+\.[\w-]+"),
    "<code>": re.compile(r"\d{6}"),
    "<hash>": re.compile(r"(pkce_)?[0-9a-f]{56}"),
    "<digits>": re.compile(r"\d+"),
    "<word>": re.compile(r"[\w-]+"),
    "<text>": re.compile(r".+", re.DOTALL),
}

Json = Any
"""What JSON can hold."""


class Transport(Protocol):
    """An httpx.Client, or Starlette's TestClient."""

    def request(self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None) -> Any: ...


@dataclass(frozen=True)
class Message:
    """A message that the server sent."""

    to: str
    text: str


@dataclass
class Player:
    """Plays steps.

    Attributes:
        address: where requests go.
        base: what links of the server begin with.
        messages: what was sent to an address so far, the oldest first.
        sql: runs a statement as the database's owner and returns its first row.
        empty: removes all accounts and messages.
    """

    client: Transport
    address: str
    base: str
    messages: Callable[[str], list[Message]]
    sql: Callable[[str], Mapping[str, object]]
    empty: Callable[[], None]
    values: dict[str, Json] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)

    def begin(self) -> None:
        """Forget the scenario before: its values, accounts and messages."""
        self.empty()
        now = int(time.time())
        service = {"role": "service_role", "iss": "praxis", "iat": now, "exp": now + 3600}
        self.values = {"base": self.base, "verifier": VERIFIER, "challenge": challenge(VERIFIER), "now": now}
        self.values["service"] = self.mint(service, "secret")
        self.values["anon"] = self.mint({**service, "role": "anon"}, "secret")
        self.read = {}

    def play(self, step: Mapping[str, Json]) -> dict[str, Json]:
        """Do one step, keep what it wants kept, and return its outcome."""
        step = self.filled({key: value for key, value in step.items() if key != "answer"})
        if "do" in step:
            outcome = self.request(step)
        elif "mail" in step:
            outcome = self.mail(step["mail"])
        elif "sql" in step:
            outcome = dict(self.sql(step["sql"]))
        elif "totp" in step:
            outcome = {"code": pyotp.TOTP(step["totp"]).at(int(time.time()) + 30 * step.get("shift", 0))}
        else:
            outcome = {"token": self.mint(step["mint"], step.get("key", "secret"))}
        return outcome

    def keep(self, step: Mapping[str, Json], outcome: Mapping[str, Json]) -> None:
        for name, path in step.get("keep", {}).items():
            self.values[name] = at(outcome, path)

    def filled(self, value: Json) -> Json:
        """The value with `{{name}}` replaced. A text that is only that gets the value as it is."""
        if isinstance(value, str):
            if whole := re.fullmatch(r"\{\{(\w+)\}\}", value):
                return self.values[whole[1]]
            return re.sub(r"\{\{(\w+)\}\}", lambda found: str(self.values[found[1]]), value)
        if isinstance(value, dict):
            return {key: self.filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        return value

    def request(self, step: Mapping[str, Json]) -> dict[str, Json]:
        method, path = step["do"].split(" ", 1)
        headers = {} if step.get("plain") else {"X-Supabase-Api-Version": VERSION}
        content = None
        if "json" in step:
            content = json.dumps(step["json"]).encode()
        elif "text" in step:
            content = (step["text"] * step.get("times", 1)).encode()
        if content is not None:
            headers["Content-Type"] = "application/json"
        if "as" in step:
            headers["Authorization"] = f"Bearer {step['as']}"
        headers |= step.get("headers", {})
        answer = self.client.request(method, f"{self.address}{path}", headers=headers, content=content)
        return outcome_of(answer)

    def mail(self, address: str) -> dict[str, Json]:
        """The next message to the address that was not looked at yet."""
        number = self.read.get(address, 0)
        until = time.monotonic() + 10
        while len(self.messages(address)) <= number:
            if time.monotonic() > until:
                raise AssertionError(f"no message {number + 1} to {address}")
            time.sleep(0.02)
        self.read[address] = number + 1
        text = self.messages(address)[number].text
        found = re.search(r"https?://[^\s\"'<>]+/verify\?[^\s\"'<>]+", text)
        link = found[0].replace("&amp;", "&") if found else ""
        code = re.search(r"(?<![\w#])\d{6}(?!\w)", re.sub(r"https?://\S+", "", text))
        return {"link": link, "code": code[0] if code else "", **dict(parse_qsl(urlsplit(link).query))}

    def mint(self, claims: Mapping[str, Json], key: str) -> str:
        """A token signed with the shared secret (`secret`), another one (`foreign`), or with no signature at all (`none`)."""
        if key == "none":
            return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}."
        secret = OctKey.import_key(SECRET if key == "secret" else FOREIGN_SECRET)
        return jws.serialize_compact({"alg": "HS256", "typ": "JWT"}, json.dumps(claims).encode(), secret)


def _part(value: Mapping[str, Json]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def challenge(verifier: str) -> str:
    """The S256 challenge of a PKCE verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def outcome_of(answer: Any) -> dict[str, Json]:
    """Status, headers and body of an HTTP answer; the claims of the access token that it holds, and where it redirects to."""
    headers = {name: answer.headers[name] for name in HEADERS if name in answer.headers}
    body: Json = answer.text
    if "json" in headers.get("content-type", "") and body:
        body = json.loads(body)
    outcome = {"status": answer.status_code, "headers": headers, "body": body}
    token = body.get("access_token") if isinstance(body, dict) else None
    if "allow" in headers:
        headers["allow"] = ", ".join(sorted(headers["allow"].split(", ")))
    if "location" in headers:
        headers["location"] = parted(headers["location"])
        if isinstance(headers["location"], dict):
            token = headers["location"].get("fragment", {}).get("access_token")
    if token:
        outcome["claims"] = claims = json.loads(jws.extract_compact(token.encode()).payload)
        # Methods of one second have no order.
        claims["amr"] = sorted(claims["amr"], key=lambda each: each["method"])
    return outcome


def parted(text: str) -> Json:
    """A URL with a query or a fragment as an object; any other text as it is."""
    if not re.match(r"[a-z.]+://", text):
        return text
    parts = urlsplit(text)
    if not parts.query and "=" not in parts.fragment:
        return text
    made: dict[str, Json] = {"url": f"{parts.scheme}://{parts.netloc}{parts.path}"}
    if parts.query:
        made["query"] = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.fragment:
        made["fragment"] = dict(parse_qsl(parts.fragment, keep_blank_values=True))
    return made


def at(value: Json, path: str) -> Json:
    for key in path.split("."):
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def differences(want: Json, got: Json, where: str = "") -> Iterator[str]:
    """Where `got` is not what `want` allows."""
    if isinstance(got, str) and isinstance(want, dict):
        got = parted(got)
    if isinstance(want, dict) and isinstance(got, dict):
        for key in sorted(want.keys() | got.keys()):
            place = f"{where}.{key}" if where else key
            if key not in got:
                yield f"{place}: missing, want {want[key]!r}"
            elif key not in want:
                yield f"{place}: {got[key]!r} is too much"
            else:
                yield from differences(want[key], got[key], place)
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for number, (wanted, given) in enumerate(zip(want, got, strict=True)):
            yield from differences(wanted, given, f"{where}.{number}")
    elif not fits(want, got):
        yield f"{where}: want {want!r}, got {got!r}"


def fits(want: Json, got: Json) -> bool:
    if want == "<any>":
        return True
    if want == "<int>":
        return isinstance(got, int) and not isinstance(got, bool)
    if isinstance(want, str) and want in PATTERNS:
        return isinstance(got, str) and PATTERNS[want].fullmatch(got) is not None
    return type(want) is type(got) and bool(want == got)
