"""`python -m session_store demo` shows what the library does; see `session_store.demo`."""

import sys

from session_store.demo import main

sys.exit(main())
