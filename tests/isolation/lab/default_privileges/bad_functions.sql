-- fires: app
alter default privileges in schema app grant execute on functions to authenticated;
