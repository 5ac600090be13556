"""One service for all tests that leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tools.service import Running, serving


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """As the verb starts it, without options."""
    with serving(tmp_path_factory.mktemp("service")) as running:
        yield running
