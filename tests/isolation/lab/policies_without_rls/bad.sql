-- fires: app.comments
alter table app.comments disable row level security;
