-- A pool that hands a connection on as it was given back, and a driver that prepares under names.
-- attacks: prepared_statement_replaced, role_left, held_cursor_left, last_number_left, locks_and_listeners_left, settings_left, random_numbers_left
-- broken_application: empties=no prepares=yes

-- name: broken


-- name: mended
