"""Sends mail behind the answers of the server: a bounded number at once and in waiting, with retries, and an outcome for each."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tenantry.auth.mail.message import Mail, MailRequested
from tenantry.auth.mail.smtp import MailFailed, MailSender
from tenantry.auth.mail.templates import MailTemplates

_log = logging.getLogger("tenantry.auth.mail")


@dataclass(frozen=True, slots=True)
class MailOutcome:
    """What became of one mail; holds no address, code or link.

    Attributes:
        result: `failed`: every try failed, or a further one cannot help; `abandoned`: the server stopped first.
        tries: how often it was given to the mail server.
        seconds: from the offer to the outcome.
        reason: why it was not sent; empty if it was.
    """

    kind: str
    result: Literal["sent", "failed", "abandoned"]
    tries: int
    seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RetryDelays:
    """Seconds before each further try; each is lengthened by up to a quarter, so that mails do not return all at once."""

    seconds: tuple[float, ...] = (2.0, 10.0, 60.0, 300.0)

    def before(self, next_try: int) -> float | None:
        """Return the delay before a try, the first being 1; None: no further try."""
        if next_try - 2 >= len(self.seconds):
            return None
        return self.seconds[next_try - 2] * (1 + random.random() / 4)  # noqa: S311 - spreads tries, no secret


def log_outcome(outcome: MailOutcome) -> None:
    """The default hook: failures are errors in the log, without addresses and codes."""
    if outcome.result == "sent":
        _log.info("mail sent: %s, after %.1f s", outcome.kind, outcome.seconds)
    else:
        _log.error("mail %s: %s, %d tries: %s", outcome.result, outcome.kind, outcome.tries, outcome.reason)


class Mailer:
    """Takes mails without waiting, and sends them in the background.

    Mails that wait are lost when the process ends before they are sent; users ask for another one.
    """

    def __init__(
        self,
        sender: MailSender,
        templates: MailTemplates,
        *,
        room: int = 1000,
        at_once: int = 8,
        delays: RetryDelays | None = None,
        outcome: Callable[[MailOutcome], None] = log_outcome,
    ) -> None:
        """
        Args:
            room: how many mails may wait or be on their way; offer() refuses more.
            at_once: connections to the mail server at one time.
        """
        self._sender = sender
        self._templates = templates
        self._room = room
        self._at_once = asyncio.Semaphore(at_once)
        self._delays = delays or RetryDelays()
        self._outcome = outcome
        self._running: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    def has_room(self) -> bool:
        """Whether one more mail would be taken."""
        return len(self._running) < self._room and not self._closing.is_set()

    def offer(self, request: MailRequested) -> bool:
        """Take a mail that is to be sent; call it from the event loop. It returns before anything is sent.

        Returns:
            False: there is no room, or the mailer is closing. Nothing is sent.
        """
        return self.has_room() and self.offer_mail(self._templates.render(request))

    def offer_mail(self, mail: Mail) -> bool:
        """Take a mail that is rendered already; as offer()."""
        if not self.has_room():
            return False
        task = asyncio.get_running_loop().create_task(self._deliver(mail), name=f"mail: {mail.kind}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return True

    async def close(self, patience: float = 10.0) -> None:
        """Take no more mails, and send those that wait: each gets one more try at once. What is not sent by then is abandoned.

        Args:
            patience: seconds to wait for them.
        """
        self._closing.set()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _deliver(self, mail: Mail) -> None:
        begun, tries, reason = time.monotonic(), 0, "the server stopped"
        try:
            while True:
                async with self._at_once:
                    last = self._closing.is_set()
                    tries += 1
                    failure = await self._try(mail)
                if failure is None:
                    self._tell(MailOutcome(mail.kind, "sent", tries, time.monotonic() - begun))
                    return
                reason = failure.reason
                delay = self._delays.before(tries + 1) if failure.temporary and not last else None
                if delay is None:
                    self._tell(MailOutcome(mail.kind, "failed", tries, time.monotonic() - begun, reason))
                    return
                await self._pause(delay)
        except asyncio.CancelledError:
            self._tell(MailOutcome(mail.kind, "abandoned", tries, time.monotonic() - begun, reason))
            raise

    async def _try(self, mail: Mail) -> MailFailed | None:
        try:
            await self._sender.send(mail)
        except MailFailed as failure:
            return failure
        except Exception as error:  # noqa: BLE001 - the text of an unknown error may hold an address; its kind may not
            return MailFailed(f"unexpected {type(error).__name__}", temporary=False)
        return None

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            pass

    def _tell(self, outcome: MailOutcome) -> None:
        try:
            self._outcome(outcome)
        except Exception:  # noqa: BLE001 - a defect of the hook must not end the delivery of others
            _log.exception("the hook for outcomes of mails failed")
