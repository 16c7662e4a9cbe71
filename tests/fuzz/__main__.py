"""Take random applications there, back and there again: `make fuzz`.

make fuzz ARGS="--count 50"            the first 50 seeds
make fuzz ARGS="--seeds 17,40-49"      these
make fuzz ARGS="--seeds 17 --shrink"   and leave out whatever the failure does not need
make fuzz ARGS="--also rules"          with a feature, or a kind of column, in each of them
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path

from tenantry.postgres import EmbeddedServer
from tests.conftest import SERVER_SETTINGS, home_for_servers
from tests.fuzz.grammar import FEATURES
from tests.fuzz.job import Job, Result, run
from tests.fuzz.shrink import shrink


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="make fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="", help="as 17,40-49")
    parser.add_argument("--count", type=int, default=300, help="how many seeds, where none are named")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--version", type=int, default=18, help="of PostgreSQL")
    parser.add_argument("--writes", type=int, default=12, help="transactions in each of four phases")
    parser.add_argument("--folder", default="fuzz", help="what fails is written into a folder for each seed in here")
    parser.add_argument("--without", action="append", default=[], help="a feature, a table, …: what --shrink names")
    parser.add_argument("--also", action="append", default=[], help="a feature that each case has")
    parser.add_argument("--shrink", action="store_true", help="make cases that fail smaller")
    options = parser.parse_args(arguments)
    seeds = list(_seeds(options.seeds)) or list(range(options.first, options.first + options.count))
    home = home_for_servers()
    server = EmbeddedServer(home, version=options.version, settings=SERVER_SETTINGS).start()
    results: list[Result] = []
    begun = time.monotonic()
    try:
        jobs = [
            Job(seed, str(home), options.version, str(Path(options.folder) / str(seed)), options.writes,
                tuple(options.also), tuple(options.without))
            for seed in seeds
        ]  # fmt: skip
        with _pool(options.workers) as pool:
            for result in pool.imap_unordered(run, jobs):
                results.append(result)
                if not result.problem:
                    shutil.rmtree(Path(options.folder) / str(result.seed), ignore_errors=True)
                spent = time.monotonic() - begun
                left = spent / len(results) * (len(jobs) - len(results))
                say = f"FAILED {result.problem[:700]}" if result.problem else "passed"
                took = f"{result.seconds:.1f} s; {result.slowest}"
                _say(f"{len(results)}/{len(jobs)}, about {left:.0f} s left: seed {result.seed} {say} ({took})")
        failed = sorted((result for result in results if result.problem), key=lambda result: result.seed)
        if options.shrink:
            for result in failed:
                small, _ = shrink(next(job for job in jobs if job.seed == result.seed))
                without = " ".join(f"--without {each!r}" for each in small.without)
                _say(f"seed {small.seed}, smaller: --seeds {small.seed} --writes {small.writes} {without}")
    finally:
        server.stop()
        if any(result.problem for result in results):
            Path(options.folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(server.log_file, Path(options.folder) / "server.log")
        shutil.rmtree(home, ignore_errors=True)
    _table(results, time.monotonic() - begun)
    for result in failed:
        _say(f"seed {result.seed}: {result.problem[:1500]}\n  {Path(options.folder) / str(result.seed)}/run.sh")
    return 1 if failed else 0


@contextmanager
def _pool(workers: int) -> Iterator[Pool]:
    """Processes that are replaced after some cases. ProcessPoolExecutor cannot: it stands still there
    (https://github.com/python/cpython/issues/115634)."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    with get_context("spawn").Pool(workers, maxtasksperchild=25) as pool:
        yield pool


def _table(results: Sequence[Result], seconds: float) -> None:
    """What was run, by feature."""
    had = Counter(feature for result in results for feature in result.features)
    failed = Counter(feature for result in results if result.problem for feature in result.features)
    _say(f"\n{'feature':24}{'cases':>8}{'failed':>8}")
    for name in FEATURES:
        _say(f"{name:24}{had[name]:8}{failed[name]:8}")
    written = Counter[str]()
    for result in results:
        written.update(result.outcomes)
    bad = sum(1 for result in results if result.problem)
    _say(
        f"\n{len(results)} cases in {seconds:.0f} s, {bad} failed; writes of the source: {written['ok']} done,"
        f" {written['refused']} refused by it as without Tenantry."
    )


def _seeds(text: str) -> list[int]:
    found: list[int] = []
    for part in filter(None, text.split(",")):
        low, _, high = part.partition("-")
        found += range(int(low), int(high or low) + 1)
    return found


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
