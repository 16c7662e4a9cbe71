-- fires: app.members.org_id
grant update on app.members to authenticated;
