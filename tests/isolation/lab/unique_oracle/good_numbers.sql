-- What nobody can choose says nothing: random uuids, and numbers that only the server gives.
alter table app.notes add number bigint generated always as identity unique;
alter table app.notes add unique (id);
