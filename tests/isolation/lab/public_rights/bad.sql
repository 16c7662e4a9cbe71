-- fires: app.notes
grant select on app.notes to public;
