"""A class server: learners come with `ssh -p 2222 host`, or a browser, and are in the course.

command     what a teacher can say: start it (opening), ask it, end it, have systemd keep it (unit)
classroom   owns everything below; what the doors and the desk talk to
ssh, web    two doors: they find out who comes, and carry bytes
asking      the code of the class, typed before there is an application
people      who may come in, and where their progress is
session     one learner's application behind a terminal of its own
forks       a server that forks processes, from outside; zygote, from inside
grades      checks of what learners write, one after the other, fairly
budget      how often each session may draw
desk        what the teacher asks and says, over a socket; dltutor/watching.py shows it
log         what happened, a JSON object a line; never what was typed
"""
