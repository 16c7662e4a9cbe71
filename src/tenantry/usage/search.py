"""Searches an application's code for lines that touch what changes.

An ordinary word such as `id` or `status` counts only with evidence: in an SQL text that names its table, in a call or a class that
stands for its table, or in the model of a Prisma schema. A distinctive name such as `clinicId` counts as likely in a file that
has other evidence of its table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tenantry.errors import SettingsError
from tenantry.usage.changes import SchemaChanges
from tenantry.usage.scan import LANGUAGES, Scanned, StringText, scan
from tenantry.usage.sql import is_sql, touches

_SKIPPED = frozenset(
    (
        "node_modules",
        ".git",
        ".venv",
        "venv",
        "dist",
        "build",
        "target",
        "vendor",
        "__pycache__",
        ".next",
        "coverage",
        ".tox",
    )
)
_MOST_BYTES = 1_000_000
_REACH = 1_500
"""Characters behind a call in which its table's columns are looked for, if its parentheses do not end earlier."""
_ORDINARY = re.compile(r"(?:created|updated|deleted|modified|inserted)_?(?:at|on|by)", re.IGNORECASE)

_NAMED = re.compile(
    r"(?:\b(?:from|table|into|join|innerJoin|leftJoin|knex|db|sql|trx|pgTable|Table|define|inTable|Entity|references|ForeignKey|relation"
    r"|selectFrom|insertInto|updateTable|deleteFrom|create_table|add_column|remove_column|add_index|change_column|update|truncate)"
    r"\s*(?:\(\s*|\s)(?:\{\s*name\s*:\s*)?|\b(?:__tablename__|db_table|table_name|tableName|table)\s*[=:]\s*|@\w*Table\w*\(\s*(?:name\s*=\s*)?)$"
)
"""Code directly before a string that is a table's name."""

_CLIENT = re.compile(
    r"(?:\.|\bawait\s+)(?P<model>[A-Za-z_]\w*)\s*\??\.\s*(?:findMany|findUnique|findUniqueOrThrow|findFirst|findFirstOrThrow|create|createMany"
    r"|createManyAndReturn|update|updateMany|upsert|delete|deleteMany|count|aggregate|groupBy)\s*\("
)
"""A call of Prisma's client."""
_CLASS = re.compile(
    r"^[ \t]*(?:export\s+)?class\s+(?P<name>[A-Z]\w*)\s*(?:\([^)]*\b(?:Model|Base|models\.Model|db\.Model|SQLModel|DeclarativeBase)\b[^)]*\)"
    r"|<\s*(?:ApplicationRecord|ActiveRecord::Base)\b|extends\s+(?:Model|BaseEntity|Sequelize\w*)\b)",
    re.MULTILINE,
)
_MODEL = re.compile(r"^model\s+(?P<name>\w+)\s*\{(?P<body>.*?)^\}", re.MULTILINE | re.DOTALL)
_MAP = re.compile(r"@@map\(\s*(?:name\s*:\s*)?\"([^\"]+)\"")
_FIELD = re.compile(r"^[ \t]*(?P<name>\w+)[ \t]+\w+[^\n]*$", re.MULTILINE)
_FIELD_MAP = re.compile(r"(?<!@)@map\(\s*(?:name\s*:\s*)?\"([^\"]+)\"")


@dataclass(frozen=True, slots=True)
class CodeLine:
    """A line that touches something that changes.

    Attributes:
        line: its number, from 1.
        column: empty if it names the table only.
        what: what changes.
        evidence: why it counts: sql, call, class, prisma model, or name (of a column, in a file about its table).
        certainty: "likely" for words without grammar.
    """

    file: str
    line: int
    language: str
    table: str
    column: str
    what: str
    evidence: str
    certainty: str
    text: str

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def search_code(folder: Path, changes: SchemaChanges) -> tuple[CodeLine, ...]:
    """Search all files of a folder (or one file) whose language is known; dependencies and build results are left out.

    Raises:
        SettingsError: the folder does not exist.
    """
    if not folder.exists():
        raise SettingsError(
            f"--code {folder}: there is no such folder.", hint="Give the folder of the application's code."
        )
    files = [folder] if folder.is_file() else sorted(_files(folder))
    read = [(file, text) for file in files if (text := _read(file)) is not None]
    models = _Models(changes, [text for file, text in read], [text for file, text in read if file.suffix == ".prisma"])
    root = folder.parent if folder.is_file() else folder
    found: dict[CodeLine, None] = {}
    for file, text in read:
        for line in _Search(str(file.relative_to(root)), text, LANGUAGES[file.suffix].name, changes, models).lines(
            file.suffix
        ):
            found[line] = None
    return tuple(sorted(found, key=lambda each: (each.file, each.line, each.table, each.column)))


def _files(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.is_symlink():
            continue
        if entry.is_dir():
            if entry.name not in _SKIPPED:
                yield from _files(entry)
        elif entry.suffix in LANGUAGES and not entry.name.endswith((".min.js", ".d.ts")):
            yield entry


def _read(file: Path) -> str | None:
    try:
        if file.stat().st_size > _MOST_BYTES:
            return None
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


class _Models:
    """Which classes and Prisma models stand for which tables, in the whole application."""

    def __init__(self, changes: SchemaChanges, texts: list[str], prisma: list[str]) -> None:
        self.of_class: dict[str, str] = {}
        self.of_client: dict[str, str] = {}
        by_stem = {_stem(table): table for table in changes.known}
        for text in texts:
            for match in _CLASS.finditer(text):
                if (table := by_stem.get(_stem(match["name"]))) is not None:
                    self.of_class[match["name"]] = table
        for text in prisma:
            for match in _MODEL.finditer(text):
                mapped = _MAP.search(match["body"])
                name = mapped[1] if mapped else match["name"]
                if name in changes.known:
                    self.of_client[match["name"][0].lower() + match["name"][1:]] = name
        for table in changes.known:
            self.of_client.setdefault(table[0].lower() + table[1:], table)


def _stem(name: str) -> str:
    """Return a name that is the same for a class and its table: `UserRole` and `user_roles`."""
    plain = name.replace("_", "").lower()
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("s", "")):
        if plain.endswith(ending) and not plain.endswith("ss"):
            return plain[: -len(ending)] + instead
    return plain


class _Search:
    """Searches one file."""

    def __init__(self, file: str, text: str, language: str, changes: SchemaChanges, models: _Models) -> None:
        self._file, self._text, self._language = file, text, language
        self._changes, self._models = changes, models
        self._rows = text.splitlines()
        self._found: dict[tuple[int, str, str], CodeLine] = {}

    def lines(self, suffix: str) -> list[CodeLine]:
        if suffix == ".sql":
            self._sql(StringText(0, len(self._text), 0, self._text))
        elif suffix == ".prisma":
            self._prisma()
        else:
            scanned = scan(self._text, LANGUAGES[suffix])
            for text in scanned.texts:
                if is_sql(text.body):
                    self._sql(text)
            self._calls(scanned)
            self._classes(scanned)
            self._names(scanned)
        return list(self._found.values())

    def _add(self, line: int, table: str, column: str, evidence: str, *, sure: bool) -> None:
        changed = self._changes.columns.get((table, column))
        what = changed.what if changed is not None else self._changes.tables.get(table, "")
        shown = self._rows[line].strip()[:160] if line < len(self._rows) else ""
        made = CodeLine(
            self._file, line + 1, self._language, table, column, what, evidence, "sure" if sure else "likely", shown
        )
        before = self._found.get((line, table, column))
        if before is None or (before.certainty == "likely" and sure):
            self._found[line, table, column] = made

    def _sql(self, text: StringText) -> None:
        for each in touches(text.body, self._changes):
            self._add(text.line + each.line, each.table, each.column, "sql", sure=each.sure)

    def _prisma(self) -> None:
        for model in _MODEL.finditer(self._text):
            mapped = _MAP.search(model["body"])
            table = mapped[1] if mapped else model["name"]
            if table not in self._changes.known:
                continue
            self._add(self._line(model.start()), table, "", "prisma model", sure=True)
            for field in _FIELD.finditer(model["body"]):
                name = _FIELD_MAP.search(field[0])
                column = name[1] if name else field["name"]
                if (table, column) in self._changes.columns:
                    self._add(
                        self._line(model.start("body") + field.start("name")), table, column, "prisma model", sure=True
                    )

    def _calls(self, scanned: Scanned) -> None:
        """Find tables named by a string in a call or an assignment, and calls of a client or a class."""
        for text in scanned.texts:
            parts = text.body.split(".")
            table = next((part for part in parts if part in self._changes.known), None)
            if table is None or len(parts) > 3 or not all(re.fullmatch(r"\w+", part) for part in parts):
                continue
            before = scanned.code[max(0, text.start - 60) : text.start]
            if not _NAMED.search(before) and not (len(parts) == 2 and (table, parts[1]) in self._changes.columns):
                continue
            self._add(text.line, table, "", "call", sure=True)
            if len(parts) >= 2 and (table, parts[-1]) in self._changes.columns:
                self._add(text.line, table, parts[-1], "call", sure=True)
            self._columns(scanned, table, text.end, _statement_end(scanned.code, text.end), "call")
        for match in _CLIENT.finditer(scanned.code):
            if (table := self._models.of_client.get(match["model"])) is not None:
                self._add(self._line(match.start("model")), table, "", "call", sure=True)
                self._columns(scanned, table, match.end(), _statement_end(scanned.code, match.end(), inside=1), "call")
        for name, table in self._models.of_class.items():
            for match in re.finditer(
                rf"\b{name}\s*\.\s*(?:objects|query|where|find\w*|create\w*|all|joins|includes|pluck|update_all|delete_all|order|select|exists"
                rf"|destroy\w*|count|findAll|findOne|findByPk|bulkCreate)\b|\b(?:select|query|get|insert|update|delete)\(\s*{name}\b",
                scanned.code,
            ):
                self._add(self._line(match.start()), table, "", "class", sure=True)
                self._columns(scanned, table, match.end(), _statement_end(scanned.code, match.end()), "class")

    def _classes(self, scanned: Scanned) -> None:
        """Find the declarations of models, with the columns that their bodies name."""
        for match in _CLASS.finditer(scanned.code):
            table = self._models.of_class.get(match["name"])
            if table is None:
                continue
            self._add(self._line(match.start("name")), table, "", "class", sure=True)
            following = re.compile(r"^(?:class|def|export|end\b|\}|@?\w)", re.MULTILINE).search(
                scanned.code, match.end()
            )
            self._columns(scanned, table, match.end(), following.start() if following else len(self._text), "class")

    def _columns(self, scanned: Scanned, table: str, begin: int, end: int, evidence: str) -> None:
        """Find the changed columns of a table between two places: as keys, attributes, symbols or strings."""
        for changed in self._changes.of(table):
            name = re.escape(changed.column)
            pattern = rf"(?<![\w$.]){name}\s*(?::|=(?!=)|=>)|[.:]{name}\b|[{{,]\s*{name}\s*(?=[,}}])"
            for match in re.finditer(pattern, scanned.code[begin:end]):
                self._add(self._line(begin + match.end() - 1), table, changed.column, evidence, sure=True)
        for text in scanned.texts:
            words = re.split(r"[\s,]+", text.body.strip()) if begin <= text.start < end else []
            if set(words) <= self._changes.known[table]:
                for word in words:
                    if (table, word) in self._changes.columns:
                        self._add(text.line, table, word, evidence, sure=True)

    def _names(self, scanned: Scanned) -> None:
        """Find distinctive names of columns in a file that has other evidence of their table."""
        about = {table for _, table, _ in self._found}
        for name, owners in self._changes.by_name.items():
            tables = [each.table for each in owners if each.table in about]
            if len(tables) != 1 or not _distinctive(name):
                continue
            for match in re.finditer(rf"(?<![\w$]){re.escape(name)}(?![\w$])", scanned.code):
                self._add(self._line(match.start()), tables[0], name, "name", sure=False)

    def _line(self, place: int) -> int:
        return self._text.count("\n", 0, place)


def _distinctive(name: str) -> bool:
    return re.search(r"_|[a-z][A-Z]", name) is not None and not _ORDINARY.fullmatch(name)


def _statement_end(code: str, place: int, inside: int = 0) -> int:
    """Return where the call ends that a place is in, with the calls that are chained to it."""
    depth, end = inside, min(len(code), place + _REACH)
    for at in range(place, end):
        sign = code[at]
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
            if depth < 0 and not re.match(r"[)\]}]*\s*(?:\?\.|\.)", code[at : at + 60]):
                return at
            depth = max(depth, 0)
        elif depth <= 0 and (sign == ";" or (sign == "\n" and not re.match(r"\s*[.)]", code[at : at + 80]))):
            return at
    return end
