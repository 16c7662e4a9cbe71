-- manifest
-- fires: app.members
grant update on app.members to lab_definer;
