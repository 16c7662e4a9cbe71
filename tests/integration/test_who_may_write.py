"""The side that applications do not write refuses everybody, and what gets in all the same is found, listed and kept."""

from __future__ import annotations

import pytest
from psycopg import errors as pg

from tests.small import MakeSmall, Small, small, target_table  # noqa: F401 - a fixture

SOURCE = """
create table invoices (id text primary key, org_id text not null references "Organization" (id), kind text not null);
insert into invoices select 'i' || i, 'o' || 1 + i % 2, 'sale' from generate_series(1, 6) i;
"""
TARGET = target_table("invoices", ",\n    kind text not null")
TABLES = """
[tables.invoices]
from = "invoices"
access = "tenant"
"""


@pytest.fixture
def shop(small: MakeSmall) -> Small:  # noqa: F811
    return small(source=SOURCE, target=TARGET, tables=TABLES)


BORN = "insert into app.invoices (org_id, kind) select id, 'born' from app.orgs limit 1"
WRITES = (BORN, "update app.invoices set kind = 'x'", "delete from app.invoices", "truncate app.invoices")


def refused(shop: Small, *statements: str, user: str = "small_prisma") -> None:
    with shop.connect(user) as connection:
        for statement in statements:
            with pytest.raises(pg.ReadOnlySqlTransaction, match="is read-only"):
                connection.execute(statement.encode())


def test_the_side_that_is_not_written_refuses_everybody_in_both_directions(shop: Small) -> None:
    shop.migrate()
    refused(shop, *WRITES)
    refused(shop, *WRITES, user="postgres")
    shop.cut_over()
    refused(shop, "update invoices set kind = 'x'", "truncate invoices", "insert into invoices values ('j', 'o1', 'x')")
    shop.as_owner(BORN, "update app.invoices set kind = 'paid' where legacy_id = 'i1'")
    shop.roll_back()
    refused(shop, *WRITES)
    shop.as_owner("update invoices set kind = 'back' where id = 'i2'")
    shop.run("replay", "--until-idle", code=0)
    shop.cut_over()
    assert shop.rows("select kind, count(*) from app.invoices group by 1 order by 1") == [
        ("back", 1), ("born", 1), ("paid", 1), ("sale", 4),
    ]  # fmt: skip
    shop.roll_back("--everything")
    assert shop.rows("select kind, count(*) from invoices group by 1 order by 1") == [
        ("back", 1), ("born", 1), ("paid", 1), ("sale", 4),
    ]  # fmt: skip
