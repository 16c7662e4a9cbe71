-- Transactions that take the search path as they find it, on a pool that empties nothing, with temporary tables.
-- attacks: search_path_left, temporary_table_left
-- broken_application: empties=no states_path=no

-- name: broken
reset role;
grant temporary on database {database} to public;

-- name: mended
reset role;
grant temporary on database {database} to public;
