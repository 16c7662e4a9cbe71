reset role;
do $$ begin execute format($q$alter role lab_app in database %I set app.theme = 'dark'$q$, current_database()); end $$;
