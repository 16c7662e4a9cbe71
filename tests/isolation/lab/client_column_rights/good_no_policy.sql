-- A right that no policy lets anybody use.
grant update on app.members to authenticated;
