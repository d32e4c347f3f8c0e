"""`python -m dltutor.engine`: commands come in on stdin, events go out on stdout, one JSON object a line."""

from dltutor.engine.process import main

main()
