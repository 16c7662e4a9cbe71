-- fires: setting app.service_key of role service_role
reset role;
alter role service_role set app.service_key = 'it opens everything';
