-- manifest
reset role;
alter role lab_app nocreaterole;
