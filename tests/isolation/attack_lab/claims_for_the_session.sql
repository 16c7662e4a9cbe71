-- An application that states unsealed claims for the session, and a pool that empties nothing.
-- attacks: context_left_on_a_pooled_connection, context_after_an_error, claims_left
-- broken_manifest: unsealed
-- broken_application: empties=no local=no

-- name: broken


-- name: mended
