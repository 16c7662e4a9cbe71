-- Without writers nobody can try values.
alter table app.notes add unique (id);
alter table app.members add favourite uuid references app.notes (id);
