"""A class server: learners come with `ssh -p 2222 host`, or a browser, and are in the course.

command     what a teacher can say: start it (opening, settings), ask it, end it, have systemd keep it (unit)
classroom   owns everything below; what the doors and the desk talk to
ssh, web    two doors: they find out who comes, and carry bytes; door is what they share, pages what a browser sees
asking      the code of the class, typed before there is an application
people      who may come in, and where their progress is
session     one learner's application behind a terminal of its own (pty), with what is pasted kept short (paste)
forks       a server that forks processes, from outside; zygote, from inside; holes keeps what they share shared
grades      checks of what learners write, one after the other, fairly
budget      how often each session may draw
health      how the machine does
turns       so that nobody who talks without end keeps the others waiting
desk        what the teacher asks and says, over a socket; dltutor/watching.py shows it
log         what happened, a JSON object a line; never what was typed
"""
