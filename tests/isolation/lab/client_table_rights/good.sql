grant truncate, references, trigger on app.notes to authenticated;
revoke truncate, references, trigger on app.notes from authenticated;
