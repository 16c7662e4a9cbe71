-- manifest
grant select on app.members to lab_definer;
