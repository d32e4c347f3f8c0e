"""`python -m dltutor`: the same as `dltutor`."""

import sys

from dltutor.cli import main

sys.exit(main())
