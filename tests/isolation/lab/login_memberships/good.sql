reset role;
alter role lab_app noinherit;
