reset role;
grant execute on function pg_read_file(text) to lab_owner;
