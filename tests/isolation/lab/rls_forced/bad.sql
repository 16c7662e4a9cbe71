-- fires: app.notes
alter table app.notes no force row level security;
reset role;
grant lab_owner to lab_app;
