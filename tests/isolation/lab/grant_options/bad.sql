-- fires: app.notes
grant select on app.notes to authenticated with grant option;
