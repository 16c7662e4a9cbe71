"""Runs a plan of account actions over the admin API: in batches, rate-limited, resuming where it stopped.

    actions = (AccountAction("create", key, AccountFields(id=…, email=…, password_hash=…)) for …)
    with AdminClient(url, key) as client:
        done = run_actions(connection, client, actions)

tenantry.account_request records each request and its result. If an answer was lost, because the connection broke or this
process was killed, the account is looked up by its id, which was chosen beforehand: no account is created twice. Only one
process at a time may work on the list.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, Literal
from uuid import UUID

import psycopg

from tenantry.auth_admin.client import AdminClient
from tenantry.auth_admin.failures import AuthRefused, EmailTaken
from tenantry.auth_admin.values import AccountFields
from tenantry.errors import JournalMismatch, RunInProgress, RunInterrupted, SettingsError
from tenantry.postgres import load_blocks
from tenantry.postgres.advisory import lock_holder
from tenantry.postgres.ours import need_our_schema

Connection = psycopg.Connection[tuple[Any, ...]]
Kind = Literal["create", "invite", "update"]

_LOCK = 7304871220352
_CLOCKS = timedelta(minutes=10)
"""Maximum difference between the clocks of this database and of the other server."""


@dataclass(frozen=True, slots=True)
class AccountAction:
    """An action for one person.

    Attributes:
        kind: create an account; invite: create it and send an invitation; update: change an existing one.
        source_key: the person's key in the source.
        user: with the id of the account, and for create and invite an e-mail address.
    """

    kind: Kind
    source_key: str
    user: AccountFields

    def __post_init__(self) -> None:
        if self.user.id is None:
            raise SettingsError(
                f"The action for {self.source_key!r} has no account id. The id must be chosen beforehand."
            )
        if self.kind != "update" and not self.user.email:
            raise SettingsError(f"The action for {self.source_key!r} has no e-mail address. An account needs one.")

    @property
    def account(self) -> UUID:
        assert self.user.id is not None
        return self.user.id


@dataclass(frozen=True, slots=True)
class Ran:
    """The result of a run of actions.

    Attributes:
        done, refused: actions that this run completed.
        before: actions that were already completed, by an earlier run or earlier in this one.
    """

    done: int
    refused: int
    before: int


@dataclass(frozen=True, slots=True)
class Refused:
    """An action that was finally refused, for an administrator to decide.

    Attributes:
        error_code: `email_taken`: an account with another id has the address; otherwise Supabase Auth's code.
    """

    source_key: str
    kind: Kind
    account: UUID
    error_code: str
    at: datetime


def run_actions(
    connection: Connection,
    client: AdminClient,
    actions: Iterable[AccountAction],
    *,
    batch: int = 200,
    again: bool = False,
    progress: Callable[[Ran], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Ran:
    """Run actions that are not completed yet, each once.

    Args:
        connection: in autocommit mode; schema tenantry exists, or may be created.
        actions: read one batch at a time.
        batch: number of actions that are recorded, sent and completed together.
        again: also retry actions that were refused before.
        progress: called after each batch.
        stopped: called before each batch; true ends the run.

    Raises:
        AuthUnreachable, AuthKeyRefused, RunInterrupted: nothing is lost; the same call resumes.
        AuthRefused: the API itself does not exist.
        RunInProgress: another process works on the list.
        JournalMismatch: the list has another account for the same person.
    """
    left = iter(actions)
    ran = Ran(0, 0, 0)
    with _list(connection) as requests, ThreadPoolExecutor(client.pace.in_flight, "tenantry-accounts") as pool:
        while some := list(islice(left, batch)):
            if stopped():
                raise _interrupted()
            todo = requests.want(some, again=again)
            results = _together(pool, client, [partial(_act, client, requests, *each) for each in todo])
            done = sum(results)
            ran = Ran(ran.done + done, ran.refused + len(todo) - done, ran.before + len(some) - len(todo))
            progress(ran)
    return ran


def refused(connection: Connection) -> tuple[Refused, ...]:
    """Yield the actions that were finally refused."""
    if not _exists(connection):
        return ()
    return tuple(Refused(*row) for row in connection.execute(_block("refused")))


def counts(connection: Connection) -> dict[str, int]:
    """Count the actions by state: wanted, sent, done, refused."""
    if not _exists(connection):
        return {}
    return {str(state): int(number) for state, number in connection.execute(_block("counts"))}


def undo_actions(
    connection: Connection,
    client: AdminClient,
    *,
    batch: int = 200,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Delete only the accounts that actions created; return their number. Updated accounts are unchanged.

    It can be interrupted and repeated. Afterwards the actions count as never requested.

    Raises:
        as run_actions()
    """
    if not _exists(connection):
        return 0
    gone = 0
    with _list(connection) as requests, ThreadPoolExecutor(client.pace.in_flight, "tenantry-accounts") as pool:
        while some := requests.to_undo(batch):
            if stopped():
                raise _interrupted()
            gone += sum(_together(pool, client, [partial(_undo, client, requests, *each) for each in some]))
    return gone


# -- one action ----------------------------------------------------------------------------------------------------------


def _act(client: AdminClient, requests: _Requests, action: AccountAction, unsure: bool, made: bool) -> bool:
    """Run one action. Return whether it was done; otherwise it was refused.

    Args:
        unsure: an earlier process sent it and ended before the answer.
        made: the account is known to have been created by it.
    """
    first_sent = requests.sent(action)
    try:
        if action.kind == "update":
            client.update(action.account, action.user)
        else:
            there = client.create(action.user)
            sure = made or there.created is True
            if not sure and (there.created is None or unsure):
                sure = not _older(there.user, first_sent)
            requests.created(action, sure)
            if action.kind == "invite" and not there.user.get("invited_at"):
                assert action.user.email is not None
                client.invite(action.user.email, user=action.account)
    except EmailTaken:
        requests.settled(action, "refused", "email_taken")
        return False
    except AuthRefused as error:
        if error.status == 404 and error.error_code != "user_not_found":
            raise
        requests.settled(action, "refused", error.error_code or f"http_{error.status}")
        return False
    requests.settled(action, "done", "")
    return True


def _undo(
    client: AdminClient,
    requests: _Requests,
    key: str,
    kind: Kind,
    account: UUID,
    made: bool,
    first_sent: datetime | None,
) -> bool:
    user = None if made else client.user(account)
    deleted = False
    if made or (user is not None and first_sent is not None and not _older(user, first_sent)):
        deleted = client.delete(account)
    requests.undone(key, kind)
    return deleted


def _older(user: dict[str, Any], first_sent: datetime) -> bool:
    """Whether the account existed before the request."""
    try:
        return datetime.fromisoformat(str(user["created_at"])) < first_sent - _CLOCKS
    except (KeyError, ValueError):
        return True


def _together(pool: ThreadPoolExecutor, client: AdminClient, tasks: Sequence[Callable[[], bool]]) -> list[bool]:
    """Run tasks in parallel. The first failure, or Ctrl-C, prevents others from starting; started ones are awaited, so that
    their answers are recorded."""
    futures: list[Future[bool]] = [pool.submit(task) for task in tasks]
    try:
        wait(futures, return_when=FIRST_EXCEPTION)
    except KeyboardInterrupt:
        client.stop()
        raise
    finally:
        for future in futures:
            future.cancel()
        wait([future for future in futures if not future.cancelled()])
    return [future.result() for future in sorted(futures, key=lambda future: future.cancelled())]


def _interrupted() -> RunInterrupted:
    return RunInterrupted(
        "Interrupted. tenantry.account_request records each request to the admin API and its result.",
        hint="Run the same command again to resume.",
    )


# -- the list ------------------------------------------------------------------------------------------------------------


class _Requests:
    """The rows of tenantry.account_request; threads share the connection, which commits each statement on its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._guard = connection, threading.Lock()

    def want(self, actions: list[AccountAction], *, again: bool) -> list[tuple[AccountAction, bool, bool]]:
        """Record a batch. Return the actions not completed yet: the action, whether it was sent before, whether it created
        its account."""
        wanted = {(action.source_key, action.kind): action for action in reversed(actions)}
        rows = self._say(
            "want",
            keys=[key for key, _ in wanted],
            kinds=[kind for _, kind in wanted],
            accounts=[action.account for action in wanted.values()],
        )
        found = {(key, kind): (account, state, made) for key, kind, account, state, made in rows}
        todo = []
        for name, action in reversed(wanted.items()):
            account, state, made = found[name]
            if account != action.account:
                raise JournalMismatch(
                    f"tenantry.account_request has account {account} for {action.source_key!r}, but the request is for"
                    f" account {action.account}. Nothing was requested.",
                    hint="The ids of accounts are fixed for a run. Undo the earlier actions first: tenantry users push --undo.",
                )
            if state in ("wanted", "sent") or (again and state == "refused"):
                todo.append((action, state == "sent", bool(made)))
        return todo

    def sent(self, action: AccountAction) -> datetime:
        moment = self._say("sent", key=action.source_key, kind=action.kind)[0][0]
        assert isinstance(moment, datetime)
        return moment

    def created(self, action: AccountAction, made: bool) -> None:
        self._do("created", key=action.source_key, kind=action.kind, made=made)

    def settled(self, action: AccountAction, state: str, error_code: str) -> None:
        self._do("settled", key=action.source_key, kind=action.kind, state=state, error_code=error_code)

    def to_undo(self, limit: int) -> list[tuple[str, Kind, UUID, bool, datetime | None]]:
        return [(row[0], row[1], row[2], row[3], row[4]) for row in self._say("to_undo", limit=limit)]

    def undone(self, key: str, kind: str) -> None:
        self._do("undone", key=key, kind=kind)

    def _say(self, block: str, /, **values: object) -> list[tuple[Any, ...]]:
        with self._guard:
            return self._connection.execute(_block(block), values).fetchall()

    def _do(self, block: str, /, **values: object) -> None:
        with self._guard:
            self._connection.execute(_block(block), values)


@contextmanager
def _list(connection: Connection) -> Iterator[_Requests]:
    """Create the list if it does not exist, and lock it against other processes."""
    if not connection.autocommit:
        raise SettingsError("The connection for the list of account requests must be in autocommit mode.")
    row = connection.execute("select pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
    if row is None or not row[0]:
        raise RunInProgress(
            f"Another process is creating accounts for this database: {lock_holder(connection, _LOCK)}.",
            hint="Wait until it is done, or stop it. Its work is not lost.",
        )
    try:
        with connection.transaction():
            need_our_schema(connection)
            connection.execute(_block("make"))
        yield _Requests(connection)
    except KeyboardInterrupt:
        raise _interrupted() from None
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(%s)", [_LOCK])


def _exists(connection: Connection) -> bool:
    row = connection.execute(_block("exists")).fetchone()
    return row is not None and bool(row[0])


def _block(name: str) -> bytes:
    return load_blocks("tenantry.auth_admin", "account_request")[name].encode()


__all__ = ["AccountAction", "Kind", "Ran", "Refused", "counts", "refused", "run_actions", "undo_actions"]
