"""Each test prints its seed; POWERLOSS_SEED=… runs it again with the same one, POWERLOSS_ROUNDS=… longer."""

import os
import random

import pytest

from harness import disk


@pytest.fixture(scope="session", autouse=True)
def disks() -> None:
    """Skips everything, and says why, where a loop device cannot be mounted."""
    if reason := disk.why_not():
        pytest.skip(f"power-loss tests need loop mounts: {reason}")


@pytest.fixture
def generator() -> random.Random:
    seed = int(os.environ.get("POWERLOSS_SEED", random.SystemRandom().randrange(1_000_000)))
    print(f"seed {seed}: repeat with POWERLOSS_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def rounds() -> int:
    return int(os.environ.get("POWERLOSS_ROUNDS", "6"))
