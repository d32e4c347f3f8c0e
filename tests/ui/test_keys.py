"""Keys that come faster than the application can take them wait where they cost nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual import events

from dltutor.ui.driver import BATCH, TutorDriver

SAFETY = 60  # seconds that nothing here takes


class Slow:
    """An application that takes what it is sent, and is done with it when it is told to be."""

    def __init__(self) -> None:
        self.screen = self.focused = self
        self.taken = self.message_queue_size = 0
        self.busy = True
        self.cursor_blink = True  # it is a field for text

    async def _post_message(self, _message: events.Event) -> None:
        self.taken += 1
        self.message_queue_size += self.busy

    def be_done(self) -> None:
        self.busy, self.message_queue_size = False, 0


async def until(fact: Callable[[], object]) -> None:
    async with asyncio.timeout(SAFETY):
        while not fact():
            await asyncio.sleep(0.01)


async def test_t13_no_more_keys_are_read_than_the_application_takes() -> None:
    app = Slow()
    driver = TutorDriver(app)  # type: ignore[arg-type]
    reading = asyncio.create_task(asyncio.to_thread(type_keys, driver, 1000))
    try:
        await until(lambda: app.taken >= BATCH)
        await asyncio.wait([reading], timeout=0.5)
        assert app.taken == BATCH
        app.be_done()
        await asyncio.wait_for(reading, SAFETY)
        await until(lambda: app.taken == 1000)
    finally:
        driver.exit_event.set()  # the thread must end, or no test after this one would


async def test_a_command_is_done_before_the_next_key() -> None:
    app = Slow()
    del app.cursor_blink
    driver = TutorDriver(app)  # type: ignore[arg-type]
    reading = asyncio.create_task(asyncio.to_thread(type_keys, driver, 3))
    try:
        await until(lambda: app.taken)
        await asyncio.wait([reading], timeout=0.5)
        assert app.taken == 1
        app.be_done()
        await asyncio.wait_for(reading, SAFETY)
        await until(lambda: app.taken == 3)
    finally:
        driver.exit_event.set()


async def test_an_application_that_ends_is_not_waited_for() -> None:
    driver = TutorDriver(Slow())  # type: ignore[arg-type]
    reading = asyncio.create_task(asyncio.to_thread(type_keys, driver, 1000))
    driver.exit_event.set()
    await asyncio.wait_for(reading, SAFETY)


def type_keys(driver: TutorDriver, count: int) -> None:
    for _key in range(count):
        driver.process_message(events.Key("a", "a"))
