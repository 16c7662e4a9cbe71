"""An enterprise system: numbers are unique within a company alone, so that a number without its company says nothing."""

from __future__ import annotations

from tests.corpus.generate import Fill, Row


def rows(f: Fill) -> None:
    f.rows(
        "company",
        7,
        lambda i: {"company_no": 100 + 10 * i, "country": f.one("AT", "SE"), "currency": f.one("EUR", "SEK")},
        fixed=True,
    )
    f.rows("app_user", 90, lambda i: {"user_name": f"{f.word()}{i}".upper(), "locked": f.one("Y", "N", "N")})
    f.rows("company_user", 140, lambda _: {"profile": f.one("CLERK", "CHIEF", "AUDIT")})
    f.rows("warehouse", 25, lambda i: {"company_no": 100 + 10 * (i % 7), "warehouse_no": i // 7 + 1})
    f.rows(
        "item_group",
        70,
        lambda i: {
            "company_no": 100 + 10 * (i % 7),
            "group_code": f"G{i // 7:03d}",
            "parent_code": "G000" if i >= 14 else None,
        },
    )
    f.rows("item", 700, lambda i: item(f, i))
    f.rows("stock", 900, lambda _: in_company(f, "warehouse", "item", "warehouse_no", "item_no"))
    f.rows(
        "customer",
        350,
        lambda i: {
            "company_no": 100 + 10 * (i % 7),
            "customer_no": 10_000 + i // 7,
            "mail": f.email(),
            "zip_id": f.digits(4),
        },
    )
    f.rows("sales_order", 800, lambda i: order(f, i))
    f.rows("order_line", 1500, lambda _: line(f))
    f.rows("delivery", 500, lambda i: delivery(f, i))
    f.rows("ledger", 900, lambda i: entry(f, i))
    f.rows("exchange_rate", 200, lambda _: {"currency": f.one("EUR", "SEK", "CHF"), "day": f.day()})
    f.rows("change_log", 600, lambda _: change(f))


def in_company(f: Fill, one: str, other: str, key: str, second: str) -> Row | None:
    first = f.pick(one)
    found = f.maybe(other, company_no=first["company_no"])
    return {"company_no": first["company_no"], key: first[key], second: found[second]} if found else None


def item(f: Fill, i: int) -> Row:
    group = f.pick("item_group")
    return {
        "company_no": group["company_no"],
        "group_code": group["group_code"],
        "item_no": f"{f.word()[:4].upper()}-{i:06d}",
        "weight": f"{f.number(1, 90)},{f.number(0, 9)}",
    }


def user_of(f: Fill, company: int, gone: float = 0.05) -> str | None:
    if f.chance(gone):
        return f"GONE{f.number(1, 40)}"
    found = f.maybe("company_user", company_no=company)
    return found["user_name"] if found else None


def order(f: Fill, i: int) -> Row:
    customer = f.pick("customer")
    return {
        "company_no": customer["company_no"],
        "customer_no": customer["customer_no"],
        "order_no": 500_000 + i,
        "entered_by": user_of(f, customer["company_no"]),
        "entered_on": f.day().replace("-", ""),
        "fiscal_year": f.number(2021, 2025),
    }


def line(f: Fill) -> Row | None:
    one = f.pick("sales_order")
    found, house = (f.maybe(table, company_no=one["company_no"]) for table in ("item", "warehouse"))
    if not found or not house:
        return None
    return {
        "company_no": one["company_no"],
        "order_no": one["order_no"],
        "line_no": 10 * f.number(1, 9),
        "item_no": found["item_no"],
        "warehouse_no": None if f.chance(0.1) else house["warehouse_no"],
    }


def delivery(f: Fill, i: int) -> Row:
    one = f.pick("sales_order")
    number = 499_000 + i if f.chance(0.03) else one["order_no"]
    return {
        "company_no": one["company_no"],
        "delivery_no": 900_000 + i,
        "order_no": number,
        "tracking_id": f.digits(18),
    }


def entry(f: Fill, i: int) -> Row:
    kind = f.one("SO", "DL")
    table, number = {"SO": ("sales_order", "order_no"), "DL": ("delivery", "delivery_no")}[kind]
    one = f.pick(table)
    return {
        "company_no": one["company_no"],
        "fiscal_year": f.number(2021, 2025),
        "entry_no": 1_000_000 + i,
        "source": kind,
        "source_no": one[number],
        "posted_by": user_of(f, one["company_no"], 0.1),
    }


def change(f: Fill) -> Row:
    one = f.pick("company_user")
    return {
        "company_no": one["company_no"],
        "user_name": one["user_name"],
        "table_name": "ITEM",
        "key_text": f"{one['company_no']}|{f.word()}",
    }
