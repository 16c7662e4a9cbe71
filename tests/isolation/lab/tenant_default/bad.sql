-- fires: app.notes.org_id
alter table app.notes alter column org_id set default '6f3c1d6e-3c5a-4c7e-9b0a-0d4c2f1f7a11';
