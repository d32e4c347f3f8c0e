"""`python -m dltutor.grading`: commands come in on stdin, events go out on stdout, one JSON object a line."""

import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent; before any import takes time

from dltutor.grading.process import main  # noqa: E402 - see above

main()
