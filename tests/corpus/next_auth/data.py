"""Teams whose people log in by NextAuth; the passwords of those who have one stand in a table of their own."""

from __future__ import annotations

from tests.corpus.generate import Fill


def rows(f: Fill) -> None:
    f.rows("users", 200)
    f.rows(
        "accounts",
        220,
        lambda _: {
            "type": "oauth",
            "provider": (provider := f.one("google", "github")),
            "provider_account_id": f.digits(21 if provider == "google" else 8),
            "expires_at": f.number(1_700_000_000, 1_800_000_000),
        },
    )
    f.rows("sessions", 300, lambda _: {"session_token": str(f.uuid())})
    f.rows("verification_tokens", 40, lambda _: {"identifier": f.email()})
    people = f.table["users"]
    f.rows("user_passwords", 90, lambda i: {"user_id": people[i]["id"]} if i < len(people) else None)
    f.rows("teams", 12, lambda i: {"customer_id": f.prefixed("cus_"), "domain": f"team{i}.example.org"})
    f.rows("team_members", 320, lambda _: {"role": f.one("owner", "member", "member", "viewer")})
    f.rows("api_keys", 50, lambda _: {"team_id": f.ref("teams", dead=0.1)})
    f.rows("documents", 500, lambda _: document(f))
    f.rows(
        "document_views",
        1500,
        lambda _: {
            "viewer_id": f.ref("users", dead=0.05, null=0.5),
            "session_ref": f.hex(24),
            "country": f.one("AT", "DE", "PT"),
        },
    )


def document(f: Fill) -> dict[str, object]:
    member = f.pick("team_members")
    author = f.ref("users", dead=1.0) if f.chance(0.06) else member["user_id"]
    return {"team_id": member["team_id"], "author": author, "archived": f.one("true", "false")}
