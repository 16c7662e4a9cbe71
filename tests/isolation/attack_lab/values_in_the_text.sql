-- An application that writes values, tokens among them, into the text of its statements.
-- attacks: queries_of_others, token_seen
-- broken_application: binds=no

-- name: broken


-- name: mended
