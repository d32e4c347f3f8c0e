"""The check of what learners write: a judge here, and a locked room (dltutor.room) in which their code runs.

process      the judge's process: hears Check, answers Verdict
trials       what a kernel is tried on, and what must come of it
judge        compares what came out of the room, and says what is wrong
causes       recognises in wrong numbers what made them wrong
translate    Python's and Numba's errors, as one sentence about the learner's line
interpreted  runs compiled CUDA kernels in the interpreter, outside of the room
parcel       the bytes that go in and come out
worker       what runs inside, beside the learner's code
"""
