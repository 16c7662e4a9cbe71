-- fires: app.notes
create statistics app.notes_words (mcv) on title, body from app.notes;
