-- Connections that begin with the login's own settings, which the login may alter; in the repaired twin they set them explicitly.
-- attacks: settings_of_the_login
-- broken_application: pins=no
-- mended_application: pins=yes

-- name: broken


-- name: mended
