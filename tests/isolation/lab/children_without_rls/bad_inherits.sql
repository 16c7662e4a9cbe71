-- fires: app.old_notes
create table app.old_notes (primary key (org_id, id), foreign key (org_id) references app.orgs (id)) inherits (app.notes);
grant select on app.old_notes to authenticated;
