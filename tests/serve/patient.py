"""`dltutor` for tests on slow machines: python patient.py [lenient] serve ...

A session that hangs up is waited for, however long it takes to save; what has died is started again at once. After
SIGUSR1 the ssh door asks those who are here at the moment several times a second whether they still are. `lenient`:
without judges, who take long to start; and it looks at the roster more often.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from stand_ins import NoGrades

from dltutor.cli import main
from dltutor.serve import classroom, health, session, ssh

session.POLITE = session.PATIENT = session.GIVEN_UP = 600.0
classroom.PAUSE = 0.05


class Door(ssh.SshDoor):
    async def start(self) -> None:
        await super().start()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self.lose_patience)

    def lose_patience(self) -> None:
        for caller in self.callers:
            caller.conn.set_keepalive(0.2, 3)


ssh.SshDoor = Door  # type: ignore[misc]

if __name__ == "__main__":
    if sys.argv[1] == "lenient":
        classroom.Grades = NoGrades  # type: ignore[misc, assignment]
        health.BEAT = session.TO_SAVE = 0.2
    sys.exit(main([word for word in sys.argv[1:] if word != "lenient"]))
