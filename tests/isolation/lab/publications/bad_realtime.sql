-- fires: app.comments
alter table app.comments disable row level security;
create publication supabase_realtime for table app.comments;
