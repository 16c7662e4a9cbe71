"""Organizations with stores, whose people log in by better-auth: passwords stand in "account" beside the ids of other providers."""

from __future__ import annotations

from tests.corpus.generate import Fill


def rows(f: Fill) -> None:
    f.key = "better"
    people = f.rows("user", 150, lambda _: {"role": f.one("user", "user", "admin")})
    f.rows("account", 200, lambda i: account(f, people[i % len(people)]["id"]))
    f.rows("verification", 60, lambda _: {"identifier": f"reset-password:{f.hex(24)}", "value": f.hex(32)})
    f.rows("twoFactor", 20)
    f.rows("organization", 9, lambda i: {"metadata": f'{{"seats": {i + 3}, "trial": false}}'})
    f.rows("member", 280, lambda _: {"role": f.one("owner", "admin", "member")})
    f.rows(
        "session",
        300,
        lambda _: {
            "activeOrganizationId": f.ref("organization", null=0.3, dead=0.02),
            "impersonatedBy": f.ref("user") if f.chance(0.03) else None,
            "ipAddress": f"198.51.100.{f.number(1, 200)}",
        },
    )
    f.rows("invitation", 60, lambda _: {"status": f.one("pending", "accepted", "canceled"), "role": "member"})
    f.rows("store", 30, lambda _: {"managerId": f.ref("user", dead=0.1, null=0.1)})
    f.rows(
        "product",
        600,
        lambda i: {
            "sku": f"SKU-{i:05d}",
            "price": f.price(),
            "availableAt": f.when().isoformat() if f.chance(0.6) else None,
        },
    )
    for product in f.table["product"]:
        product["relatedIds"] = f.refs("product", 0, 3, dead=0.04, storeId=product["storeId"])
    f.connection.cursor().executemany(
        'update product set "relatedIds" = %(relatedIds)s where id = %(id)s', f.table["product"]
    )
    f.rows(
        "order",
        700,
        lambda i: {
            "orderNo": 100_000 + i,
            "storeId": f.ref("store", dead=0.02),
            "placedBy": f.ref("user", null=0.3, dead=0.08),
            "shippingZip": f.digits(5),
            "checkoutId": f.prefixed("cs_test_", 24),
        },
    )
    f.rows("orderItem", 1500, lambda _: item(f))
    f.rows("event", 900, lambda _: event(f))


def item(f: Fill) -> dict[str, object] | None:
    order = f.pick("order")
    product = f.ref("product", storeId=order["storeId"])
    return (
        {"orderId": order["id"], "line": f.number(1, 9), "productId": product, "quantity": f.number(1, 20)}
        if product
        else None
    )


def event(f: Fill) -> dict[str, object]:
    order = f.pick("order")
    store = f.maybe("store", id=order["storeId"])
    number = f.ref("order", dead=1.0) if f.chance(0.06) else order["id"]
    changes = [{"by": one, "n": f.number(1, 9)} for one in f.refs("user", 1, 2, dead=0.05)]
    return {
        "subject": f"order/{number}",
        "data": {"organization": store["organizationId"] if store else None, "changes": changes},
    }


def account(f: Fill, user: str) -> dict[str, object]:
    if f.chance(0.6):
        return {"userId": user, "accountId": user, "providerId": "credential", "password": f.hash()}
    return {"userId": user, "accountId": f.digits(), "providerId": "google", "password": None}
