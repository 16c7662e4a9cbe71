"""Studios that keep lists of ids in arrays of text, bigint and uuid, beside arrays of numbers and codes that are no ids."""

from __future__ import annotations

from tests.corpus.generate import Fill, Row


def rows(f: Fill) -> None:
    f.key = "ulid"
    f.rows("studios", 8)
    f.rows("people", 200, lambda _: {"email": f.email()})
    f.rows("studio_people", 320)
    for one in f.table["studios"]:
        one["admin_ids"] = crew(f, one["id"], 3)
    f.connection.cursor().executemany(
        "update studios set admin_ids = %(admin_ids)s where id = %(id)s", f.table["studios"]
    )
    f.rows(
        "genres",
        9,
        lambda i: {"code": ("drama", "comedy", "short", "noir", "docu", "music", "west", "family", "crime")[i]},
        fixed=True,
    )
    f.rows("films", 250, lambda _: film(f))
    f.rows("scenes", 1100, lambda i: scene(f, i))
    f.rows("assets", 700, lambda _: asset(f))
    f.rows("playlists", 300, lambda _: playlist(f))
    f.rows("reviews", 500, lambda _: review(f))
    f.rows("shares", 300, lambda _: share(f))
    f.rows(
        "batches",
        60,
        lambda _: {"remote_ids": [f.uuid() for _ in range(3)], "matrix": [f.number(0, 150) for _ in range(9)]},
    )


def crew(f: Fill, studio: object, most: int, dead: float = 0.05) -> list[int]:
    found = [one["person_id"] for one in f.all("studio_people", studio_id=studio)]
    drawn = [
        f.ref("people", dead=1.0) if f.chance(dead) else f.random.choice(found)
        for _ in range(f.number(0, most))
        if found
    ]
    return list(dict.fromkeys(drawn))


def film(f: Fill) -> Row:
    return {
        "ratings": [f.number(1, 10) for _ in range(f.number(2, 8))],
        "genre_codes": f.refs("genres", 1, 3),
        "shot_years": [f.number(1990, 2024)],
    }


def scene(f: Fill, i: int) -> Row:
    one = f.pick("films")
    return {
        "film_id": one["id"],
        "number": i,
        "cast_ids": crew(f, one["studio_id"], 5),
        "follows": f.refs("scenes", 0, 2, film_id=one["id"], dead=0.03) if i else [],
    }


def asset(f: Fill) -> Row:
    studio = f.ref("studios")
    return {
        "studio_id": studio,
        "kind": f.one("still", "clip"),
        "checksum_parts": [f.hex(8) for _ in range(3)],
        "derived_from": f.refs("assets", 0, 2, studio_id=studio, dead=0.06),
    }


def playlist(f: Fill) -> Row:
    member = f.pick("studio_people")
    studio = member["studio_id"]
    return {
        "owner": f.ref("people", dead=1.0) if f.chance(0.04) else member["person_id"],
        "film_ids": f.refs("films", 1, 5, studio_id=studio, dead=0.08),
        "asset_ids": f.refs("assets", 0, 4, studio_id=studio, dead=0.1) if f.chance(0.7) else None,
        "legacy_codes": [f"PL-{f.number(1, 900)}"],
    }


def review(f: Fill) -> Row:
    one = f.pick("films")
    return {
        "film_id": f.ref("films", dead=1.0) if f.chance(0.05) else one["id"],
        "reviewer_ids": crew(f, one["studio_id"], 3),
        "links": [
            f"https://films.example.org/films/{x}#top" for x in f.refs("films", 0, 2, studio_id=one["studio_id"])
        ],
        "scores": [f.price() for _ in range(3)],
    }


def share(f: Fill) -> Row:
    kind = f.one("film", "scene")
    return {
        "subject": f"{kind}:{f.ref(kind + 's', dead=0.05)}",
        "grantees": [f"person:{x}" for x in f.refs("people", 1, 4, dead=0.05)],
    }
