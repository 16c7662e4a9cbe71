-- Claims in a plain setting, as on a hosted Supabase; in the repaired twin they are sealed.
-- attacks: claims_by_set, claims_by_set_config, single_claims_by_set, claims_within_a_query, seal_made_up, seal_in_the_next_transaction, seal_in_another_session, seal_in_a_chained_transaction, several_statements
-- broken_manifest: unsealed

-- name: broken


-- name: mended
