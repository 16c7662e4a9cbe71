-- fires: app.comments
alter table app.notes add unique (id);
alter table app.comments add parent_id uuid references app.notes (id);
