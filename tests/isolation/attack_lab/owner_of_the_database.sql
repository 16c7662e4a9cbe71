-- A login that owns the database.
-- attacks: settings_of_others, create_in_the_database

-- name: broken
reset role;
alter database {database} owner to {login};
grant create on database {database} to {login};

-- name: mended
