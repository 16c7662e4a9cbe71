-- fires: app.notes
reset role;
create publication lab_feed for tables in schema app;
