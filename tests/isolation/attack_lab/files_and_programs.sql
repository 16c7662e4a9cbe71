-- Rights to files and programs of the server.
-- attacks: files_of_the_server, programs_of_the_server

-- name: broken
reset role;
grant execute on function pg_read_file(text) to {login};
grant pg_execute_server_program to {login} with inherit true;

-- name: mended
