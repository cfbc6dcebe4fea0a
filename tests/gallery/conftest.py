"""One browser for all pages."""

from collections.abc import Iterator
from typing import Any

import pytest

from browser import chromium


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    with chromium() as opened:
        yield opened
