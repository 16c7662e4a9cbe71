-- fires: app.notes
grant truncate on app.notes to public;
