"""Tables of cases."""

import pytest


def cases(table: dict):
    """Parameters whose ids are the keys; a row is a tuple of values, or the only value."""
    return [pytest.param(*(row if isinstance(row, tuple) else (row,)), id=name) for name, row in table.items()]
