"""`python -m clinic.migration.legacy`: create the source schema if it is missing, load the sample, print what was planted."""

from __future__ import annotations

import argparse
import os
import sys

import psycopg

from clinic.migration.legacy.defects import Planted
from clinic.migration.legacy.load import LegacyError, create_schema, existing_tables, load


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 on success, 1 if the database refuses, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m clinic.migration.legacy", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--clinics", type=int, default=12, help="number of clinics, at least 2 (default 12)")
    parser.add_argument("--values", type=int, default=200_000, help="metric values, at least 500 (default 200000)")
    parser.add_argument("--seed", type=int, default=7, help="another seed gives other data (default 7)")
    parser.add_argument("--schema", default="public", help="schema that holds the source tables (default public)")
    parser.add_argument("--dsn", help="database to load into (default: TENANTRY_DSN, then DATABASE_URL)")
    parser.add_argument("--json", action="store_true", help="print the planted defects with their keys as JSON")
    options = parser.parse_args(arguments)
    dsn = options.dsn or os.environ.get("TENANTRY_DSN") or os.environ.get("DATABASE_URL")
    if not dsn:
        parser.error("no database: give --dsn, or set TENANTRY_DSN or DATABASE_URL")
    try:
        with psycopg.connect(dsn) as conn:  # one transaction: a refused load leaves no empty tables
            if not existing_tables(conn, options.schema):
                create_schema(conn, options.schema)
            planted = load(
                conn, schema=options.schema, clinics=options.clinics, values=options.values, seed=options.seed
            )
    except LegacyError as error:
        sys.stderr.write(f"{error}\nhint: {error.hint}\n")
        return 1
    except (ValueError, psycopg.Error) as error:
        sys.stderr.write(f"{str(error).strip()}\n")
        return 1
    sys.stdout.write((planted.to_json() if options.json else _as_table(planted)) + "\n")
    return 0


def _as_table(planted: Planted) -> str:
    lines = [f"{rows:>10,}  {table}" for table, rows in planted.rows.items()]
    lines.append("")
    lines += [f"{defect.count:>10,}  {defect.code}" for defect in planted.defects]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
