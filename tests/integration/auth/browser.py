"""A person with browsers: official Python clients over one storage, their mails, and what their refusals say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from supabase import ClientOptions, create_client
from supabase_auth import SyncGoTrueClient, SyncMemoryStorage
from supabase_auth.errors import AuthApiError
from supabase_auth.types import Session

from tests.integration.auth.mailed import Mailed
from tests.integration.auth.sign_in import SITE

PASSWORD, WELCOME = "correct horse", f"{SITE}/welcome"
VERSION = "X-Supabase-Api-Version"
_numbers = count(1)


@dataclass
class Browser:
    """Creates clients of one kind. Clients of one browser share its storage."""

    served: Mailed
    make: Callable[[Browser, str, str], SyncGoTrueClient]
    http: httpx.Client
    storage: SyncMemoryStorage = field(default_factory=SyncMemoryStorage)

    def client(self, flow: str = "implicit") -> SyncGoTrueClient:
        return self.make(self, self.served.anon, flow)

    def admin(self) -> SyncGoTrueClient:
        return self.make(self, self.served.service, "implicit")

    def other(self) -> Browser:
        return Browser(self.served, self.make, self.http)

    def signed_up(self, email: str = "") -> SyncGoTrueClient:
        """Return a client that is signed in to a new account."""
        email = email or address()
        client = self.client()
        client.sign_up({"email": email, "password": PASSWORD})
        client.verify_otp({"type": "signup", "email": email, "token": self.served.mailbox.mail(email).codes[0]})
        return client

    def signed_in(self, email: str, password: str = PASSWORD) -> SyncGoTrueClient:
        client = self.other().client()
        client.sign_in_with_password({"email": email, "password": password})
        return client

    def follow(self, email: str) -> str:
        """Open the link of the newest mail to an address; return where it leads."""
        return self.open(self.served.mailbox.mail(email).links[-1])

    def open(self, link: str) -> str:
        answer = self.http.get(link, follow_redirects=False)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])


def sign_in_client(browser: Browser, key: str, flow: str) -> SyncGoTrueClient:
    return SyncGoTrueClient(
        url=browser.served.url,
        headers={"Authorization": f"Bearer {key}"},
        flow_type=cast(Any, flow),
        auto_refresh_token=False,
        storage=browser.storage,
        http_client=browser.http,
    )


def project_client(browser: Browser, key: str, flow: str) -> SyncGoTrueClient:
    options = ClientOptions(
        flow_type=cast(Any, flow),
        auto_refresh_token=False,
        storage=browser.storage,
        httpx_client=browser.http,
    )
    return create_client(browser.served.project, key, cast(Any, options)).auth


def look(response: httpx.Response) -> None:
    """Check what every answer has."""
    response.read()
    if response.status_code < 400:
        assert VERSION not in response.headers and "x-sb-error-code" not in response.headers
    else:
        body = response.json()
        assert response.headers[VERSION] == "2024-01-01"
        assert response.headers["x-sb-error-code"] == body["code"]
        assert set(body) - {"weak_password"} == {"code", "message"}


def address() -> str:
    return f"person{next(_numbers)}@mail.example"


def query(link: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}


def refusal(call: Callable[..., Any], *given: Any) -> tuple[int, str]:
    """Return status and code of what a call of the client is refused with."""
    with pytest.raises(AuthApiError) as caught:
        call(*given)
    return caught.value.status, str(caught.value.code)


def session(client: SyncGoTrueClient) -> Session:
    found = client.get_session()
    assert found is not None
    return found
