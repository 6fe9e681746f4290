"""Which examples Hypothesis draws: the same in every run, so that a failure is one of the code and not of the draw.

`pytest --hypothesis-profile=fresh --hypothesis-seed=N` draws others, and the same ones for the same seed; `make test-all`
does that with a seed that it prints. SESSION_STORE_EXAMPLES in the environment says how many, 100 if nothing does.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

providers: Any
try:
    from hypothesis.internal.conjecture import providers
except ImportError:  # an older one
    providers = None


_MOST = int(os.environ.get("SESSION_STORE_EXAMPLES", "100"))


def load_profiles() -> None:
    """Makes "same" the profile, unless the command line names another."""
    settings.register_profile("same", deadline=None, derandomize=True)
    settings.register_profile("fresh", deadline=None, derandomize=False, database=None, max_examples=_MOST)
    settings.load_profile("same")
    # Hypothesis also draws constants that it finds in whatever local code is loaded by then. That depends on which tests
    # are chosen and on their order, so nothing counts as local.
    if hasattr(providers, "is_local_module_file"):
        providers.is_local_module_file = lambda file: False
