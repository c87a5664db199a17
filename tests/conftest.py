"""One thread for each process of a test: they are small, and two test at a time on two cores."""

from __future__ import annotations

import os

# Before torch is imported; commands that tests start have it from here.
os.environ.setdefault("OMP_NUM_THREADS", "1")
