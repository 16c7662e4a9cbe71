"""Devices of sites and what they measure. A site is a code in a column, and no table has the sites."""

from __future__ import annotations

from tests.corpus.generate import Fill, Row

SITES = ("NOR", "OST", "SUD", "WES", "MIT")


def rows(f: Fill) -> None:
    f.rows("operators", 120, lambda _: {"site": f.one(*SITES), "mail": f.email()})
    f.rows("devices", 250, lambda _: device(f))
    f.rows(
        "readings",
        2000,
        lambda _: {"device": f.ref("devices", dead=0.03), "at": f.when(), "value": f.number(0, 90_000) / 1000},
    )
    f.rows("alarms", 700, lambda i: alarm(f, i))
    f.rows("shifts", 400, lambda _: shift(f))
    f.rows(
        "parts",
        60,
        lambda i: {"code": f"P-{i:04d}", "hazard": f.one("none", "acid") if f.chance(0.03) else None},
        fixed=True,
    )
    f.rows("work_orders", 500, lambda i: work_order(f, i))
    f.rows(
        "work_order_parts",
        900,
        lambda _: {"position": f.number(1, 8), "part_code": f.ref("parts"), "amount": f.number(1, 40)},
    )
    for_devices = f.table["devices"]
    f.rows(
        "calibration",
        180,
        lambda i: {"device": for_devices[i]["id"], "expires": f.day()} if i < len(for_devices) else None,
    )
    f.execute("refresh materialized view readings_by_day")
    f.execute("delete from work_orders where id % 23 = 0")
    f.table["audit"] = []


def device(f: Fill) -> Row:
    one = f.pick("operators")
    return {
        "site": one["site"],
        "serial_no": f.hex(10).upper(),
        "installed_by": f.ref("operators", dead=1.0) if f.chance(0.07) else one["id"],
        "location": f"({f.number(0, 90)},{f.number(0, 90)})",
        "config": {"gateway": {"device": f.ref("devices", site=one["site"])}, "interval": f.number(1, 60)},
    }


def alarm(f: Fill, i: int) -> Row:
    one = f.pick("devices")
    return {
        "id": i + 1,
        "site": one["site"],
        "device_id": one["id"],
        "raised": f.when(),
        "acknowledged_by": f.ref("operators", site=one["site"], null=0.3),
        "severity": f.number(1, 5),
        "code": f"E{f.number(100, 140)}",
    }


def shift(f: Fill) -> Row:
    one = f.pick("operators")
    begin = f.when()
    return {
        "operator": f.ref("operators", dead=1.0) if f.chance(0.05) else one["id"],
        "site": one["site"],
        "during": f"[{begin.isoformat()},{begin.replace(hour=23, minute=59, second=59).isoformat()}]",
        "handed_to": f.ref("operators", site=one["site"], null=0.5, dead=0.1),
    }


def work_order(f: Fill, i: int) -> Row:
    one = f.pick("devices")
    return {
        "number": 880_000 + i,
        "device": f.ref("devices", dead=1.0) if f.chance(0.04) else one["id"],
        "opened_by": f.ref("operators", site=one["site"]),
        "external_order_id": f.uuid() if f.chance(0.5) else None,
        "cost": f.price(),
        "planned": None,
    }
