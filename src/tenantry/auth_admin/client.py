"""A client of the admin API of Supabase Auth, for a hosted Supabase whose database is not accessible.

    with AdminClient("https://project.example", key) as client:
        for user in client.users():
            ...

A token bucket, shared by threads, limits the rate of requests, and their number in flight is bounded. Attempts without an
answer (timeouts, broken connections, 5xx) and rate-limited ones (429) are repeated with growing, randomized waits; other
refusals are not. If the answer of a call that creates or changes something was lost, the client first checks whether it was
done.

The key is only sent in request headers: no repr, error or log contains it.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Literal, Self
from uuid import UUID, uuid4

import httpx

from tenantry.auth_admin.answers import (
    AdminAnswer,
    Lost,
    Secret,
    Window,
    checked_url,
    code_of_error,
    json_of,
    next_page,
    reason_of,
    same_email,
    user_of,
)
from tenantry.auth_admin.failures import AuthKeyRefused, AuthRefused, AuthUnreachable, EmailTaken
from tenantry.auth_admin.rate_limit import TokenBucket, backoff, retry_after
from tenantry.auth_admin.values import AccountFields, Made, RequestPace, User
from tenantry.errors import RunInterrupted, SettingsError, TenantryError

API_VERSION = "2024-01-01"
_REMEMBERED = 20_000

Method = Literal["GET", "POST", "PUT", "DELETE"]


class AdminClient:
    """Administers accounts over HTTP. Threads may share it; close it, for example with `with`."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        pace: RequestPace | None = None,
        bucket: TokenBucket | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """
        Args:
            url: the project's, such as https://project.example; the API is below it at /auth/v1. Without TLS only on this
                machine.
            key: the service key.
            pace: limits of rate, attempts and waits; see Pace.
            bucket: a token bucket shared with other clients, or with a clock of its own; replaces pace.rate and pace.burst.
            transport: replaces the network.

        Raises:
            SettingsError: the URL or the key is malformed; the message repeats neither.
        """
        self._url = checked_url(url)
        if not key or not re.fullmatch(r"[!-~]+", key):
            raise SettingsError(
                "The service key of the admin API is empty or contains characters that no key contains (it is not shown).",
                hint="Supabase shows it under Project Settings, API keys: the secret key, or the old service_role key.",
            )
        self.pace = pace or RequestPace()
        self._stopping = threading.Event()
        self._bucket = bucket or TokenBucket(self.pace.rate, burst=self.pace.burst, sleep=self._stopping.wait)
        self._slots = threading.BoundedSemaphore(self.pace.in_flight)
        self._secret = Secret(key)
        self._http = httpx.Client(
            timeout=self.pace.timeout,
            transport=transport,
            follow_redirects=False,
            limits=httpx.Limits(max_connections=self.pace.in_flight, max_keepalive_connections=self.pace.in_flight),
        )

    def __repr__(self) -> str:
        return f"AdminClient({self._url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the client cannot be used afterwards."""
        self.stop()
        self._http.close()

    def stop(self) -> None:
        """Send no further request, and end all waits: these raise RunInterrupted. Requests in flight are awaited."""
        self._stopping.set()

    # -- reading ---------------------------------------------------------------------------------------------------------

    def users(self, *, per_page: int = 200, filter: str = "") -> Iterator[User]:
        """Yield all users, page by page; memory does not grow with their number.

        Users that are added meanwhile may be included or not. They cause neither duplicates nor omissions. Only deleted users
        can hide others: then read again.

        Args:
            filter: a part of the e-mail address; servers that do not support it return all users.
        """
        page, seen = 1, Window(_REMEMBERED)
        while True:
            parameters = {"page": str(page), "per_page": str(per_page), **({"filter": filter} if filter else {})}
            answer = self._call("GET", "/admin/users", parameters=parameters)
            users = answer.value.get("users") if isinstance(answer.value, dict) else None
            if not isinstance(users, list):
                raise AuthUnreachable(
                    f"{self._url} answers, but it is not the admin API of Supabase Auth: it returns no list of users.",
                    hint="Give the project's URL, without a path.",
                )
            for user in users:
                if seen.add(str(user["id"])):
                    yield user
            following = next_page(answer.headers.get("link"), page)
            if not users or (following is None and "link" in answer.headers):
                return
            page = following or page + 1

    def count(self) -> int | None:
        """Return the number of users according to the server; None if it does not say."""
        text = self._call("GET", "/admin/users", parameters={"page": "1", "per_page": "1"}).headers.get("x-total-count")
        return int(text) if text is not None and text.isdigit() else None

    def confirms_at_sign_up(self) -> bool | None:
        """Return whether every address counts as confirmed at sign-up, without a message; None if the server does not say."""
        try:
            value = self._call("GET", "/settings").value
        except AuthRefused:
            return None
        found = value.get("mailer_autoconfirm") if isinstance(value, dict) else None
        return found if isinstance(found, bool) else None

    def user(self, user: UUID) -> User | None:
        """Return the user with this id, or None."""
        try:
            answer = self._call("GET", f"/admin/users/{user}")
        except AuthRefused as error:
            if error.status == 404 and error.error_code == "user_not_found":
                return None
            raise
        return user_of(answer)

    def find_by_email(self, email: str) -> User | None:
        """Return the user with this e-mail address, ignoring case, or None. An SSO user with it counts only if no other user
        has it."""
        wanted = email.strip().lower()
        found = None
        for user in self.users(filter=wanted):
            if str(user.get("email", "")).lower() == wanted:
                if not user.get("is_sso_user"):
                    return user
                found = found or user
        return found

    # -- writing ---------------------------------------------------------------------------------------------------------

    def create(self, fields: AccountFields) -> Made:
        """Create an account. An existing one with the same id and e-mail address counts as created.

        Raises:
            EmailTaken: an account with another id has the e-mail address.
            AuthRefused: another problem; `error_code` id_taken: the id belongs to another address.
        """
        body = {"id": str(uuid4())} | fields.body()
        account, lost = UUID(body["id"]), Lost()

        def there() -> User | None:
            user = self.user(account)
            if user is not None and not same_email(user, fields.email):
                raise AuthRefused(
                    f"The id {account} belongs to an account with another e-mail address.",
                    status=422,
                    error_code="id_taken",
                )
            return user

        try:
            answer = self._call("POST", "/admin/users", body=body, lost=lost, done=there)
        except AuthRefused as error:
            if error.error_code not in ("email_exists", "user_already_exists", "phone_exists"):
                raise
            user = there()
            if user is not None:
                return Made(user, None if lost.happened else False)
            if error.error_code == "phone_exists":
                raise
            raise EmailTaken(
                "Another account has this e-mail address.",
                status=error.status,
                error_code="email_taken",
                hint="Link the person to that account, or give the account another address.",
            ) from None
        return Made(user_of(answer), None if answer.looked_up else True)

    def update(self, user: UUID, fields: AccountFields) -> User:
        """Change an account; fields that are None are unchanged.

        Raises:
            EmailTaken, AuthRefused: `error_code` user_not_found: no account has this id.
        """
        body = fields.body()
        body.pop("id", None)
        try:
            return user_of(self._call("PUT", f"/admin/users/{user}", body=body))
        except AuthRefused as error:
            if error.error_code in ("email_exists", "user_already_exists"):
                raise EmailTaken(
                    "Another account has this e-mail address.", status=error.status, error_code="email_taken"
                ) from None
            raise

    def invite(self, email: str, data: Mapping[str, Any] | None = None, *, user: UUID | None = None) -> User:
        """Send an invitation; create an account if none has this address.

        Args:
            data: for the user's metadata.
            user: the id of the account to invite, if it exists: a lost answer is then looked up, so that no second mail is
                sent.

        Raises:
            EmailTaken: the address belongs to an account that has confirmed it.
        """

        def sent() -> User | None:
            found = self.user(user) if user is not None else None
            return found if found is not None and found.get("invited_at") else None

        body: dict[str, Any] = {"email": email} | ({"data": dict(data)} if data is not None else {})
        try:
            return user_of(self._call("POST", "/invite", body=body, done=sent))
        except AuthRefused as error:
            if error.error_code in ("email_exists", "user_already_exists"):
                raise EmailTaken(
                    "This address was confirmed already: the invitation was not sent.",
                    status=error.status,
                    error_code="email_taken",
                ) from None
            raise

    def delete(self, user: UUID, *, soft: bool = False) -> bool:
        """Delete an account with all its data, or (soft) make it unusable and erase its personal data. Return whether it
        existed."""
        try:
            self._call("DELETE", f"/admin/users/{user}", body={"should_soft_delete": True} if soft else None)
        except AuthRefused as error:
            if error.status == 404 and error.error_code == "user_not_found":
                return False
            raise
        return True

    # -- one request -----------------------------------------------------------------------------------------------------

    def _call(
        self,
        method: Method,
        path: str,
        *,
        parameters: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        lost: Lost | None = None,
        done: Callable[[], User | None] | None = None,
    ) -> AdminAnswer:
        """Send a request until there is an answer.

        Args:
            lost: called when an answer was lost.
            done: after a lost answer: returns the user if the request was carried out.
        """
        why = ""
        for attempt in range(1, self.pace.tries + 1):
            self._check_stop()
            self._bucket.take()
            self._check_stop()
            try:
                with self._slots:
                    response = self._http.request(
                        method,
                        f"{self._url}/auth/v1{path}",
                        params=parameters,
                        headers=self._headers(body is not None),
                        content=None if body is None else json.dumps(body).encode(),
                    )
            except httpx.RequestError as error:
                response, why = None, self._secret.hide(reason_of(error))
            if response is not None and response.status_code < 500 and response.status_code != 429:
                value = json_of(response)
                if response.is_success and value is not None:
                    return AdminAnswer(response.status_code, response.headers, value)
                if not response.is_success:
                    raise self._refusal(response, value)
                why = "an answer that is no JSON"
            elif response is not None:
                why = self._secret.hide(
                    f"HTTP {response.status_code} {code_of_error(response, json_of(response))}".strip()
                )
            if attempt == self.pace.tries:
                break
            pause = backoff(attempt, base=self.pace.wait, limit=self.pace.longest_wait)
            if response is not None and response.status_code == 429:
                asked = retry_after(response.headers.get("retry-after"))
                # All requests together were too fast, not just this one.
                self._bucket.hold(min(self.pace.longest_wait, pause if asked is None else max(asked, 0.0)))
                continue
            self._stopping.wait(pause)
            if method != "GET":
                if lost is not None:
                    lost.happened = True
                user = done() if done is not None else None
                if user is not None:
                    return AdminAnswer(200, httpx.Headers(), user, looked_up=True)
        raise AuthUnreachable(
            f"The admin API at {self._url} did not answer {method} {path} in {self.pace.tries} tries: {why}.",
            hint="Run the same command again when the API is available. It resumes where it stopped.",
        )

    def _check_stop(self) -> None:
        if self._stopping.is_set():
            raise RunInterrupted(
                "Interrupted. No further request was sent.", hint="Run the same command again to resume."
            )

    def _headers(self, has_body: bool) -> dict[str, str]:
        key = self._secret.reveal()
        headers = {"apikey": key, "Authorization": f"Bearer {key}", "X-Supabase-Api-Version": API_VERSION}
        return headers | ({"Content-Type": "application/json"} if has_body else {})

    def _refusal(self, response: httpx.Response, value: Any) -> TenantryError:
        said = value if isinstance(value, dict) else {}
        code = self._secret.hide(code_of_error(response, value))
        text = str(said.get("message") or said.get("msg") or said.get("error_description") or response.reason_phrase)
        text = self._secret.hide(text)[:300]
        status = response.status_code
        if status in (401, 403):
            return AuthKeyRefused(
                f"The admin API at {self._url} refuses the key: {text} ({code or f'HTTP {status}'}).",
                hint="Give the service key of this project (the secret key, or the old service_role key), not the anon or"
                " publishable one. The key is not shown here.",
            )
        hint = ""
        if response.is_redirect or (status == 404 and not code):
            hint = "Is that the project's URL, without a path? The API is expected below it at /auth/v1."
            text = f"there is no such API ({text})"
        return AuthRefused(
            f"The admin API refused {response.request.method} {response.request.url.path}: {text}"
            f" ({code or f'HTTP {status}'}).",
            status=status,
            error_code=code,
            hint=hint,
        )


__all__ = ["API_VERSION", "AdminClient"]
