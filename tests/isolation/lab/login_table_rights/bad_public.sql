-- manifest
-- fires: app.notes
grant select (title) on app.notes to public;
