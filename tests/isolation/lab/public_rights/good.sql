grant select on app.notes to public;
revoke select on app.notes from public;
