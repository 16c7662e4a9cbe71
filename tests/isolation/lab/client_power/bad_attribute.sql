-- fires: lab_app is itself one who makes roles
reset role;
alter role lab_app createrole;
