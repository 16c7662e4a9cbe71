-- manifest
-- fires: app.notes
alter table app.notes no force row level security;
