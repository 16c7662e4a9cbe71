-- fires: authenticated is a superuser or bypasses row-level security
reset role;
alter role authenticated bypassrls;
