"""Creates, reads, changes and deletes a note as a tenant, over the models that `tenantry export django` wrote.

Started with the folder of the app `exported`; reads {database, key, callers, orgs} as JSON.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager

sys.path.insert(0, sys.argv[1])

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from tenantry.postgres.seal import SealKey, claims_text
from tests.drivers import with_django

asked = json.load(sys.stdin)
settings.configure(
    DATABASES={"default": with_django.database("", **asked["database"])},
    INSTALLED_APPS=["django.contrib.postgres", "exported"],
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()
call_command("check", fail_level="WARNING")
call_command("makemigrations", "exported", verbosity=0)
call_command("makemigrations", "exported", check=True, verbosity=0)
from exported.models import Note, Org  # noqa: E402

key = SealKey.parse(asked["key"])


@contextmanager
def context(number):
    said = claims_text(asked["callers"][number])
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("select tenantry.challenge()")
        token = key.token(said, cursor.fetchone()[0])
        cursor.execute("select tenantry.open(%s, %s), set_config('role', 'authenticated', true)", [said, token])
        yield


with context(0):
    made = Note.objects.create(
        org_id=asked["orgs"][0], title="New", tone="dark", tones=["light", 'it\'s "odd"'], tags=["a", "b"]
    )
with context(1):
    other = [[note.title for note in Note.objects.all()], Note.objects.filter(pk=made.pk).exists()]
with context(0):
    note = Note.objects.select_related("org").get(pk=made.pk, tone="dark")
    first = Note.objects.exclude(pk=made.pk).get()
    note.title, note.parent_id = "Changed", first.id
    note.save()
    again = Note.objects.get(org=asked["orgs"][0], title="Changed")
    changed = [again.title, note.org.name, note.tones, str(again.parent.id) == str(first.id), again.active]
with context(1):
    stolen = Note.objects.filter(pk=made.pk).update(title="Stolen")
with context(0):
    again.delete()
    left = [[org.name, [note.title for note in org.note_set.all()]] for org in Org.objects.all()]
found = {
    "made": [str(made.id), str(made.org_id), made.shout, made.class_field, made.number],
    "other": other,
    "changed": changed,
    "stolen": stolen,
    "left": left,
}
sys.stdout.write("\n" + json.dumps(found))
