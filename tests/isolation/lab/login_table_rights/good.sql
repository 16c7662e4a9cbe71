-- manifest
grant select on app.notes to anon;
revoke select on app.notes from anon;
