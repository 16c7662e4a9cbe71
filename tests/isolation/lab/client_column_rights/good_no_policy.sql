-- A right that no policy makes usable.
grant update on app.members to authenticated;
