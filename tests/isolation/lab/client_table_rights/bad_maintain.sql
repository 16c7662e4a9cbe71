-- since: 17
-- fires: app.notes
grant maintain on app.notes to authenticated;
