-- fires: app.notes
alter table app.notes no force row level security;
reset role;
alter role lab_owner login;
do $$ begin execute format('grant connect on database %I to lab_owner', current_database()); end $$;
