"""`python -m session_store` is the command `session-store`; see `session_store.cli`. Its `demo` needs no extra but `testing`."""

import sys

from session_store.cli import main

sys.exit(main())
