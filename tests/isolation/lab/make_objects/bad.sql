-- fires: app
grant create on schema app to authenticated;
