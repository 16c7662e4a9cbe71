"""Copies a whole database for rehearsals: by template if nobody is connected, otherwise by pg_dump and pg_restore.

The original is only read: over a connection whose transactions are read-only, and by pg_dump. A comment on the database marks
every copy, and nothing without that mark is ever dropped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tenantry.dbcopy.homes import beside, elsewhere, embedded
from tenantry.dbcopy.maker import CopyMaker, CopyOptions, CopyReports
from tenantry.dbcopy.original import Copy, Original
from tenantry.journal.journal import Connection
from tenantry.manifest import Manifest


@contextmanager
def duplicated(
    connection: Connection,
    original: Original,
    manifest: Manifest,
    options: CopyOptions | None = None,
    reports: CopyReports | None = None,
) -> Iterator[Copy]:
    """Provide a copy while the context is open, or for longer with `options.keep`.

    Args:
        connection: a result of `reading`.

    Raises:
        RightsMissing, RolesMissing, CopyRefused: with what to do; nothing is left behind.
    """
    options, reports = options or CopyOptions(), reports or CopyReports()
    maker = CopyMaker(connection, original, manifest, options, reports)
    begun = time.monotonic()
    if options.copy_dsn is not None:
        home = elsewhere(maker, options.copy_dsn)
    elif options.embedded is not None:
        home = embedded(maker, options.embedded)
    else:
        home = beside(maker)
    with home as copy:
        copy.seconds = time.monotonic() - begun
        try:
            yield copy
        finally:
            if options.keep:
                maker.kept = True


__all__ = ["duplicated"]
