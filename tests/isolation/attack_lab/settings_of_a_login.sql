-- Connections that begin as the login's own settings say, which the login may alter; mended, they state them.
-- attacks: settings_of_the_login
-- broken_application: pins=no
-- mended_application: pins=yes

-- name: broken


-- name: mended
