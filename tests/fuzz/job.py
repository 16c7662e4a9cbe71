"""One seed in a process of its own."""

from __future__ import annotations

import signal
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tenantry.postgres import EmbeddedServer
from tests.conftest import SERVER_SETTINGS
from tests.fuzz.drive import Failure, drive
from tests.fuzz.grammar import features_of, make


@dataclass(frozen=True)
class Job:
    """One seed, and what is left out of its case."""

    seed: int
    home: str
    version: int
    folder: str
    writes: int
    also: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    limit: int = 300
    """Seconds."""


@dataclass
class Result:
    seed: int
    problem: str = ""
    seconds: float = 0.0
    features: tuple[str, ...] = ()
    outcomes: dict[str, int] = field(default_factory=dict)
    slowest: str = ""


def run(job: Job) -> Result:
    """One case, in a process that may be any."""
    begun = time.monotonic()
    made = Result(job.seed, features=features_of(job.seed, without=job.without, also=job.also))
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(job.limit)
    try:
        server = EmbeddedServer(Path(job.home), version=job.version, settings=SERVER_SETTINGS)
        case = make(job.seed, without=job.without, also=job.also)
        done = drive(server, case, Path(job.folder), writes=job.writes)
        made.outcomes = done.outcomes
        name, most = max(done.seconds.items(), key=lambda item: item[1], default=("", 0.0))
        made.slowest = f"{name}: {most:.1f} s"
    except Failure as failure:
        made.problem = str(failure)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this seed's
        where = traceback.extract_tb(error.__traceback__)[-1]
        made.problem = f"{type(error).__name__}: {error} ({where.filename}:{where.lineno})"
    finally:
        signal.alarm(0)
    made.seconds = time.monotonic() - begun
    return made


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError("the case did not end in time")
