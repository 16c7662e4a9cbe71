create statistics app.notes_words (mcv) on title, body from app.notes;
drop statistics app.notes_words;
