-- fires: lab_worker bypasses row-level security, and may connect
reset role;
create role lab_worker login bypassrls;
do $$ begin execute format('grant connect on database %I to lab_worker', current_database()); end $$;
