-- fires: setting app.jwt_secret of the database
reset role;
do $$ begin execute format('alter database %I set app.jwt_secret = ''it signs everybody''', current_database()); end $$;
