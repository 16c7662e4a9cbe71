# mypy: ignore-errors
# ruff: noqa: F821
"""Reads people. Lines that end with a mark are expected: HIT table.column …"""

from sqlalchemy import Column, ForeignKey, Integer, String

STATUS = "select your status from the list"  # ordinary English


class Line(Base):  # HIT lines
    __tablename__ = "lines"  # HIT lines
    id = Column(Integer, primary_key=True)  # HIT lines.id
    note_id = Column(Integer, ForeignKey("notes.id"))  # HIT lines.note_id notes notes.id
    text = Column(String)


def find(cursor, id):
    # select * from notes where id = 1
    cursor.execute("select id, title from notes where id = %s", (id,))  # HIT notes notes.id
    cursor.execute(
        """
        update notes -- HIT notes
           set title = %(title)s
         where id = %(id)s -- HIT notes.id
        """,
    )
    return {"id": id, "status": "open"}


def joined(cursor, name):
    query = (
        "select l.id "  # HIT lines.id
        "from lines l join notes n on n.id = l.note_id "  # HIT lines notes notes.id lines.note_id
        f"where n.title = '{name}'"
    )
    cursor.execute(query)


def elsewhere(note):
    id = note.id
    return id, note["title"], "notes", ["lines", "of", "text"]


def report(session):
    return session.query(Line).filter(Line.note_id == 3).all()  # HIT lines lines.note_id
