-- The secret of tokens, as a setting of the database, which every role may read.
-- attacks: secrets_in_settings

-- name: broken
reset role;
alter database {database} set app.jwt_secret = 'it signs everybody';

-- name: mended
reset role;
alter database {database} set app.jwt_expires = '3600';
