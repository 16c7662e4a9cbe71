alter table app.comments add parent_id uuid;
alter table app.comments add constraint parent foreign key (org_id, parent_id) references app.notes (org_id, id) not valid;
alter table app.comments validate constraint parent;
