alter table app.comments add parent_id uuid;
alter table app.comments add foreign key (org_id, parent_id) references app.notes (org_id, id);
