"""Keeps both sides synchronized, and shows the progress at the terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tenantry.cli.progress import Bars
from tenantry.manifest import Manifest
from tenantry.migrate.follow import Followed, FollowHooks, follow
from tenantry.migrate.throttle.throttle import Throttle
from tenantry.report.terminal.switch import following_line


def keep_synchronized(
    address: str,
    manifest: Manifest,
    bars: Bars,
    stopped: Callable[[], bool],
    *,
    until_idle: bool = False,
    prometheus: Path | None = None,
) -> Followed:
    """tenantry.migrate.follow.follow() under the manifest's throttle."""
    throttle = Throttle(address, manifest.throttle, notice=bars.notice, stopped=stopped)

    def wait() -> None:
        throttle.wait("replay")

    try:
        return follow(
            address,
            manifest,
            until_idle=until_idle,
            observer=bars,
            stopped=stopped,
            hooks=FollowHooks(wait, lambda total, lag, age: bars.line(following_line(total, lag, age)), prometheus),
        )
    finally:
        throttle.close()
