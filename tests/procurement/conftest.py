"""What tests of procurement stand on."""

from collections.abc import Iterator

import pytest

from marketplace.shared import keys


@pytest.fixture(autouse=True)
def _own_keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keys of the test's own: nothing here needs, makes or reads the installation's key file."""
    monkeypatch.setenv("OPENLOT_KEYS", _KEYS)
    keys.keyring.cache_clear()
    yield
    keys.keyring.cache_clear()


_KEYS = keys.new_key_file_text("test").replace("\n", ";")
