"""The servers that Magpie is held against: private instances, as `make compare` starts them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench" / "compare"))
