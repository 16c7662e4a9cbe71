"""The migration's fixtures, for the tests of this folder."""

from tests.migrate_support import (  # noqa: F401 - pytest finds them here
    _token_key,
    finished,
    finished_each,
    legacy,
    legacy_each,
    migrated,
)
from tests.small import small  # noqa: F401 - likewise
