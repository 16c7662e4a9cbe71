-- fires: lab_app may grant authenticated to others
reset role;
grant authenticated to lab_app with admin option;
