"""Quick tests first: then those that load the model, then those that drive a browser."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def cost(item: pytest.Item) -> int:
        return 2 if item.get_closest_marker("browser") else 1 if item.get_closest_marker("torch") else 0

    items.sort(key=cost)
