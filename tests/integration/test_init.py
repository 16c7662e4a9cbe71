"""tenantry init and tenantry analyze without a manifest: from a connection string to a migration that runs."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from tenantry.catalog import read_catalog
from tenantry.prisma import prisma_sql, read_prisma
from tests.conftest import Database, _server, fresh_database
from tests.corpus.load import load, names

PRISMA = [name for name in names() if load(name).prisma is not None]
