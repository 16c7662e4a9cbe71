-- Values that clients cannot choose reveal nothing: random uuids, and numbers from the server.
alter table app.notes add number bigint generated always as identity unique;
alter table app.notes add unique (id);
