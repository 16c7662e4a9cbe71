-- fires: app.notes
alter table app.notes disable row level security;
