-- A table, and a function, that belong to the application's login.
-- attacks: owned_objects, create_rule, change_policies, create_index, alter_table, replace_the_functions

-- name: broken
create function helper() returns integer language sql as 'select 1';
reset role;
grant usage, create on schema app to {login};
alter table app.note owner to {login};
alter function app.helper() owner to {login};

-- name: mended
create function helper() returns integer language sql as 'select 1';
