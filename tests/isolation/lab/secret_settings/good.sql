reset role;
do $$ begin execute format('alter database %I set app.jwt_expires = ''3600''', current_database()); end $$;
alter role service_role set app.service_key = '';
alter role service_role set password_encryption = 'scram-sha-256';
