-- fires: app.notes
alter table app.notes add exclude using btree (title with =);
