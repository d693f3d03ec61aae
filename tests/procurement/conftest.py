"""What tests of procurement stand on."""

from collections.abc import Iterator

import pytest

from marketplace.shared import keys


@pytest.fixture(autouse=True, scope="module")
def _keys_of_module() -> Iterator[None]:
    """For what a module's tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENLOT_KEYS", _KEYS)
        keys.keyring.cache_clear()
        yield
    keys.keyring.cache_clear()


@pytest.fixture(autouse=True)
def _own_keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keys of the test's own: nothing here needs, makes or reads the installation's key file."""
    monkeypatch.setenv("OPENLOT_KEYS", _KEYS)
    keys.keyring.cache_clear()
    yield
    keys.keyring.cache_clear()


_KEYS = keys.new_key_file_text("test").replace("\n", ";")
