grant select on app.notes to authenticated with grant option;
revoke grant option for select on app.notes from authenticated;
