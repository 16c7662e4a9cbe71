-- fires: app.notes
grant truncate, references, trigger on app.notes to authenticated;
