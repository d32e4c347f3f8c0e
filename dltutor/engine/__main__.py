"""`python -m dltutor.engine`: commands come in on stdin, events go out on stdout, one JSON object a line."""

import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which says Stop; before any import takes time

from dltutor.engine.process import main  # noqa: E402 - see above

main()
