-- Nobody can try values where nobody writes.
alter table app.notes add unique (id);
alter table app.members add favourite uuid references app.notes (id);
