-- fires: app.notes.org_id
grant update (org_id) on app.notes to authenticated;
