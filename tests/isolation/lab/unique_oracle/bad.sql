-- fires: app.notes
create unique index notes_title on app.notes (lower(title));
