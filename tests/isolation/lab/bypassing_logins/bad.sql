-- fires: lab_worker bypasses row-level security
reset role;
create role lab_worker login bypassrls;
grant authenticated to lab_worker;
do $$ begin execute format('grant connect on database %I to lab_worker', current_database()); end $$;
