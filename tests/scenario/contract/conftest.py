"""The parts of the contract are tests too: their assertions tell values."""

import pytest

for _part in ("objects", "applying", "statuses", "watching"):
    pytest.register_assert_rewrite(f"tests.scenario.contract.{_part}")
