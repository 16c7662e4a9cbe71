grant update (author_id) on app.notes to authenticated;
