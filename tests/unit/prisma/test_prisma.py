"""The SQL of a Prisma schema, construct by construct; that whole schemas give the catalog that Prisma makes is shown on a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenantry.errors import PrismaSchemaWrong
from tenantry.prisma import prisma_sql, read_prisma

HEAD = 'datasource db {\n  provider = "postgresql"\n  url = env("DATABASE_URL")\n}\n'


def sql_of(tmp_path: Path, text: str) -> str:
    file = tmp_path / "schema.prisma"
    file.write_text(HEAD + text, encoding="utf-8")
    return prisma_sql(read_prisma(file))


def test_native_types_defaults_and_maps(tmp_path: Path) -> None:
    text = sql_of(
        tmp_path,
        """
/// A thing.
model Thing {
  id      BigInt   @id @default(autoincrement())
  code    String   @unique(map: "thing_code") @db.VarChar(12) // short
  small   Int      @default(autoincrement()) @db.SmallInt
  price   Decimal? @db.Decimal(10, 2)
  tags    String[] @default(["a", "b"])
  at      DateTime @default(now()) @map("created_at") @db.Timestamptz(6)
  raw     Unsupported("tsvector")?
  made    String   @default(dbgenerated("gen_random_uuid()")) @db.Uuid
  blob    Bytes    @default("aGk=")
  kind    Kind     @default(BIG)
  type    String
  model   String?

  @@index([code(sort: Desc), at], map: "by_code")
  @@index([tags], type: Gin)
  @@map("things")
}

enum Kind {
  SMALL
  BIG @map("big one")

  @@map("kinds")
}
""",
    )
    assert "create type kinds as enum ('SMALL', 'big one');" in text
    assert "id bigserial not null" in text
    assert "small smallserial not null" in text
    assert "code varchar(12) not null" in text
    assert "price decimal(10,2)," in text
    assert "tags text[] default array['a', 'b']::text[]" in text
    assert "created_at timestamptz(6) not null default current_timestamp" in text
    assert "raw tsvector," in text
    assert "made uuid not null default gen_random_uuid()" in text
    assert "decode('aGk=', 'base64')" in text
    assert "kind kinds not null default 'big one'" in text
    assert "constraint things_pkey primary key (id)" in text
    assert "create unique index thing_code on things (code);" in text
    assert "create index by_code on things (code desc, created_at);" in text
    assert "create index things_tags_idx on things using gin (tags);" in text


def test_relations_composite_keys_and_many_to_many(tmp_path: Path) -> None:
    text = sql_of(
        tmp_path,
        """
model Shelf {
  room  String
  place Int
  books Book[]
  @@id([room, place])
}
model Book {
  id     String  @id @default(cuid())
  room   String?
  place  Int?
  shelf  Shelf?  @relation(
    fields: [room, place],
    references: [room, place],
    onUpdate: NoAction
  )
  tags   Tag[]
}
model Tag {
  id    Int    @id @default(autoincrement())
  books Book[]
}
""",
    )
    assert 'constraint "Shelf_pkey" primary key (room, place)' in text
    assert (
        'alter table "Book" add constraint "Book_room_place_fkey" foreign key (room, place) references "Shelf" (room, place)'
        " on delete set null on update no action;"
    ) in text
    assert 'create table "_BookToTag" (\n    "A" text not null,\n    "B" integer not null,' in text
    assert 'constraint "_BookToTag_AB_pkey" primary key ("A", "B")' in text
    assert 'create index "_BookToTag_B_index" on "_BookToTag" ("B");' in text


def test_relation_mode_prisma_has_no_foreign_keys(tmp_path: Path) -> None:
    file = tmp_path / "schema.prisma"
    file.write_text(
        'datasource db {\n  provider = "postgresql"\n  relationMode = "prisma"\n}\n'
        "model A {\n  id Int @id\n  bs B[]\n}\nmodel B {\n  id Int @id\n  aId Int\n  a A @relation(fields: [aId], references: [id])\n}\n",
        encoding="utf-8",
    )
    assert "foreign key" not in prisma_sql(read_prisma(file))


def test_a_folder_is_one_schema(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "base.prisma").write_text(HEAD, encoding="utf-8")
    (tmp_path / "models" / "a.prisma").write_text("model A {\n  id Int @id\n}\n", encoding="utf-8")
    assert [model.name for model in read_prisma(tmp_path).models] == ["A"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model A {\n  id Int @id\n  x Strin\n}\n", "A.x: Strin is neither a scalar type"),
        ("model A {\n  id Int @id @db.Wrong\n}\n", "@db.Wrong is no type of PostgreSQL"),
        ("model A {\n  id Int @id\n  @@index([nothing])\n}\n", "names the field nothing"),
        ("model A {\n  id Int @id\n", "schema.prisma:"),
        ("model A {\n  id Int @id\n}\nmodel A {\n  id Int @id\n}\n", "A is defined twice"),
        ("type T {\n  a Int\n}\n", "composite type"),
    ],
)
def test_errors_are_reported_with_their_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PrismaSchemaWrong) as caught:
        sql_of(tmp_path, text)
    assert said in str(caught.value)


def test_another_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "schema.prisma"
    file.write_text('datasource db {\n  provider = "mysql"\n}\n', encoding="utf-8")
    with pytest.raises(PrismaSchemaWrong, match="mysql"):
        read_prisma(file)
