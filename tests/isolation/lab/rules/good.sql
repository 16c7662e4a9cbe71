create rule nothing as on delete to app.notes do instead nothing;
