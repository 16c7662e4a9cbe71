-- fires: app.notes
create publication lab_feed for table app.notes;
