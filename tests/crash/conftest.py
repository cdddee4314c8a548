"""Each crash test prints its seed; CRASH_SEED=… runs it again with the same one, CRASH_ROUNDS=… longer."""

import os
import random

import pytest


@pytest.fixture
def seed(record_property) -> int:
    value = int(os.environ.get("CRASH_SEED", random.SystemRandom().randrange(1_000_000)))
    record_property("seed", value)
    print(f"seed {value}: repeat with CRASH_SEED={value}")
    return value


@pytest.fixture
def rounds() -> int:
    return int(os.environ.get("CRASH_ROUNDS", "20"))
