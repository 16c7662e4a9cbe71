-- manifest
-- fires: app.notes
grant select on app.notes to anon;
