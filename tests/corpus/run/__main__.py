"""python -m tests.corpus.run [schema …]: takes the schemas of the corpus through, and prints a table; exit code 1 if one does not come through."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tenantry.postgres import EmbeddedServer
from tests.conftest import SERVER_SETTINGS, home_for_servers
from tests.corpus.load import names
from tests.corpus.run.drive import Outcome, drive
from tests.corpus.run.edits import MOST


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make corpus", description=__doc__)
    parser.add_argument("schemas", nargs="*", default=[], help="all, where none is named")
    parser.add_argument(
        "--scale", type=float, default=0.5, help="of the generated rows; 1: 200 to 2,000 in a table that matters"
    )
    parser.add_argument("--writes", type=int, default=60, help="transactions on the source behind the copy")
    parser.add_argument("--version", type=int, default=18, help="of PostgreSQL")
    parser.add_argument("--folder", default="build/corpus", help="drafts, and what the commands said")
    parser.add_argument("--copy", action="store_true", help="also `prove --copy`")
    options = parser.parse_args(arguments)
    home = home_for_servers()
    server = EmbeddedServer(home, version=options.version, settings=SERVER_SETTINGS).start()
    outcomes: list[Outcome] = []
    begun = time.monotonic()
    try:
        for name in options.schemas or names():
            folder = Path(options.folder) / name
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_suffix(".log").unlink(missing_ok=True)
            try:
                made = drive(server, name, folder, scale=options.scale, writes=options.writes, copy=options.copy)
            except Exception as error:  # noqa: BLE001 - it is this schema's; the others go on
                made = Outcome(name, problem=f"{type(error).__name__}: {error} {traceback.format_exc()[-1200:]}")
            outcomes.append(made)
            _say(f"{name}: {made.problem or 'passed'} ({made.seconds:.0f} s; {', '.join(made.passed)})")
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
    _say(table(outcomes))
    failed = [each for each in outcomes if each.problem]
    _say(
        f"\n{len(outcomes) - len(failed)} of {len(outcomes)} schemas came through in {time.monotonic() - begun:.0f} s."
    )
    return 1 if failed else 0


def table(outcomes: Sequence[Outcome]) -> str:
    lines = [f"\n{'schema':24}{'edits':>6}{'rows':>8}{'s':>6}{'findings':>10}{'quarantine':>12}{'writes':>8}  verdicts"]
    for each in outcomes:
        refused = sum(number for what, number in each.writes.items() if "refused" in what)
        written = sum(each.writes.values()) - refused
        verdict = ", ".join(each.passed) if not each.problem else f"FAILED after {', '.join(each.passed) or 'nothing'}"
        lines.append(
            f"{each.schema:24}{each.lines:>3}/{MOST}{each.rows:>8}{each.seconds:>6.0f}{sum(each.findings.values()):>10}"
            f"{each.quarantined:>12}{written:>8}  {verdict}"
        )
    return "\n".join(lines)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
