-- fires: app.notes
create unique index notes_title on app.notes (lower(title));
revoke insert, update on app.notes from authenticated;
grant insert (org_id, author_id, title, body) on app.notes to authenticated;
