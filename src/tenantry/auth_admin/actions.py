"""Runs a plan of account actions over the admin API: in batches, paced, and from where it was when it was stopped.

    actions = (AccountAction("create", key, AccountFields(id=…, email=…, password_hash=…)) for …)
    with AdminClient(url, key) as client:
        done = run_actions(connection, client, actions)

What was asked for, and what came of it, stands in tenantry.account_request. An action whose answer was lost, by a broken
connection or because this process was killed, is looked up by the id of its account, which was fixed beforehand: nobody gets
two. Only one process may work on the list at a time.
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
"""By how much the clocks of this database and of the other server may differ."""


@dataclass(frozen=True, slots=True)
class AccountAction:
    """One thing to do for one person.

    Attributes:
        kind: create an account; invite: create it and send an invitation; update: change one that is there.
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
    """What a run of actions did.

    Attributes:
        done, refused: actions that this run settled.
        before: actions that were settled already, by an earlier run or earlier in this one.
    """

    done: int
    refused: int
    before: int


@dataclass(frozen=True, slots=True)
class Refused:
    """An action that was refused for good, for an administrator to decide.

    Attributes:
        error_code: `email_taken`: an account of another id has the address; else what Supabase Auth said.
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
    """Carry out actions that are not settled yet, each once.

    Args:
        connection: in autocommit mode; schema tenantry is there, or may be made.
        actions: read one batch at a time.
        batch: how many are noted, sent and settled together.
        again: also those that were refused before.
        progress: told after each batch.
        stopped: asked before each batch.

    Raises:
        AuthUnreachable, AuthKeyRefused, RunInterrupted: nothing is lost, and the same call goes on.
        AuthRefused: the API itself is not there.
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
    """The actions that were refused for good."""
    if not _exists(connection):
        return ()
    return tuple(Refused(*row) for row in connection.execute(_block("refused")))


def counts(connection: Connection) -> dict[str, int]:
    """How many actions are in which state: wanted, sent, done, refused."""
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
    """Delete the accounts that actions made, and no other; returns how many. What was updated stays as it is.

    It can be stopped and called again. Afterwards the actions are as if they had not been asked for.

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
    """Carry out one action. Returns whether it was done; else it was refused.

    Args:
        unsure: an earlier process had sent it, and did not live to see the answer.
        made: the account is known to have been made by it.
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
    """Whether the account was there before it was asked for."""
    try:
        return datetime.fromisoformat(str(user["created_at"])) < first_sent - _CLOCKS
    except (KeyError, ValueError):
        return True


def _together(pool: ThreadPoolExecutor, client: AdminClient, tasks: Sequence[Callable[[], bool]]) -> list[bool]:
    """Run tasks side by side. The first that fails, or Ctrl-C, keeps the others from beginning; those that have begun are
    waited for, so that their answers are noted."""
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
    """The rows of tenantry.account_request; threads share the connection, which commits each statement by itself."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._guard = connection, threading.Lock()

    def want(self, actions: list[AccountAction], *, again: bool) -> list[tuple[AccountAction, bool, bool]]:
        """Note them. Returns those that are not settled: the action, whether it was sent before, whether it made its account."""
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
    """The list, made where there is none, and held so that no other process works on it."""
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
