create unique index notes_title on app.notes (org_id, lower(title));
