-- fires: app.notes
create rule keep as on delete to app.notes do also update app.orgs set name = name || '!' where id = old.org_id;
