"""A judge on a machine where no walls can be built, as they can't in many a container."""

import sys

from dltutor import room
from dltutor.grading.process import main


class WallLess(room.Room):
    def __init__(self, tier: str, worker: str) -> None:
        if tier != "limits":
            raise PermissionError(1, f"no {tier} for you")
        super().__init__(tier, worker)


room.Room = WallLess  # type: ignore[misc]
if __name__ == "__main__":
    sys.exit(main())
