"""A shop with natural keys, soft deletes and ids of a payment service, a search engine's login and a customer database."""

from __future__ import annotations

from tests.corpus.generate import Fill, Row

COUNTRIES = ("AT", "DE", "PT", "SE", "IE", "DK")


def gone(f: Fill) -> Row:
    return {"deleted_at": f.when() if f.chance(0.08) else None}


def rows(f: Fill) -> None:
    f.rows("countries", 6, lambda i: {"code": COUNTRIES[i], "vat_rate": "20.00"}, fixed=True)
    f.rows("staff", 20, lambda _: {**gone(f), "password": f.hash()})
    f.rows("customers", 700, lambda i: customer(f, i))
    f.rows("addresses", 900, lambda _: {"zip_id": f.digits(5), "country_code": f.one(*COUNTRIES)})
    f.rows(
        "categories",
        30,
        lambda i: {"slug": f"{f.word()}-{i}", "parent_slug": f.ref("categories") if i > 4 and f.chance(0.8) else None},
    )
    f.rows("products", 300, lambda i: product(f, i))
    f.rows("product_images", 600, lambda _: {"sku": sku(f, 0.04), "position": f.number(1, 9)})
    f.rows(
        "coupons", 25, lambda i: {"code": f"{f.word().upper()}{i}", "percent": f.number(5, 50), "valid_until": f.day()}
    )
    f.rows("carts", 400, lambda _: cart(f))
    f.rows("orders", 900, lambda i: order(f, i))
    f.rows(
        "order_items",
        1800,
        lambda _: {
            "line": f.number(1, 12),
            "sku": sku(f, 0.03),
            "quantity": f.number(1, 9),
            "unit_cents": f.number(500, 90_000),
        },
    )
    f.rows("refunds", 80, lambda _: {"order_id": f.ref("orders", dead=0.03), "stripe_refund_id": f.prefixed("re_", 24)})
    f.rows("reviews", 500, lambda _: review(f))
    f.rows("pages", 12, lambda _: {"slug": f.slug(), "edited_by": f.ref("staff", dead=0.1)})
    f.rows("settings", 15, lambda i: {"key": f"{f.word()}.{i}"})
    f.rows("webhook_events", 500, lambda _: event(f))
    f.rows(
        "stock_moves",
        1200,
        lambda i: {
            "sku": sku(f, 0.05),
            "cause": f.one("sale", "return", "count"),
            "sequence_no": 3_000_000 + i,
            "delta": f.number(-20, 60),
        },
    )
    f.rows("gift_cards", 1, lambda _: None)


def sku(f: Fill, dead: float) -> str:
    return f"SKU-9{f.number(1, 9999):04d}" if f.chance(dead) else f.pick("products")["sku"]


def customer(f: Fill, i: int) -> Row:
    return {
        **gone(f),
        "email": f.email(),
        "stripe_id": f.prefixed("cus_") if f.chance(0.8) else None,
        "google_id": f.digits() if f.chance(0.02) else None,
        "crm_uuid": f.uuid(),
        "referred_by": f.ref("customers", dead=0.05) if i > 10 and f.chance(0.2) else None,
        "loyalty_no": 700_000_000 + i * 7,
    }


def product(f: Fill, i: int) -> Row:
    variants = [f"SKU-{f.number(0, max(i - 1, 0)):05d}" for _ in range(2)] if i > 9 else []
    return {
        **gone(f),
        "sku": f"SKU-{i:05d}",
        "weight": f"{f.number(1, 20)}.{f.number(0, 9)}",
        "price_cents": f.number(500, 90_000),
        "attributes": {"color": f.word(), "related": variants},
        "supplier_ref": f"SUP/{f.number(1, 60)}/{f.hex(4)}",
        "ean_id": f.number(4_000_000_000_000, 4_099_999_999_999),
    }


def cart(f: Fill) -> Row:
    return {
        "customer_id": f.ref("customers", null=0.4, dead=0.06),
        "session_id": f.nanoid(32),
        "items": [{"sku": sku(f, 0.03), "quantity": f.number(1, 5)} for _ in range(f.number(1, 3))],
    }


def order(f: Fill, i: int) -> Row:
    address = f.pick("addresses")
    number = f.ref("addresses", dead=1.0) if f.chance(0.05) else address["id"]
    return {
        **gone(f),
        "order_no": f"R{200_000 + i}",
        "customer_id": address["customer_id"],
        "payment_intent_id": f.prefixed("pi_", 24),
        "status": f.one("new", "paid", "sent", "cancelled"),
        "total_cents": f.number(900, 90_000),
        "shipping_address": number,
        "coupon": f.ref("coupons") if f.chance(0.15) else None,
        "handled_by": f.ref("staff", null=0.2, dead=0.05),
    }


def review(f: Fill) -> Row:
    return {
        "product_slug": f.slug() if f.chance(0.06) else f.pick("products")["slug"],
        "customer_id": f.ref("customers", null=0.3, dead=0.04),
        "stars": f.number(1, 5),
        "verified": f.one("yes", "no"),
    }


def event(f: Fill) -> Row:
    order = f.pick("orders")
    return {
        "id": f.prefixed("evt_", 24),
        "provider": "stripe",
        "object_id": f.prefixed("ch_", 24),
        "payload": {"type": "charge.succeeded", "metadata": {"order": order["order_no"]}, "livemode": True},
    }
