"""Opens a room as another user, and passes on what is asked: `python attack_room.py TIER`, a line of JSON at a time."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict


def main() -> None:
    from dltutor import room
    from dltutor.errors import DltutorError

    try:
        opened = room.open_room(sys.argv[1], "attack_worker")
    except DltutorError as error:
        print(json.dumps({"problem": error.message}), flush=True)
        return
    print(json.dumps({"problem": ""}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        outcome = opened.run(order["request"].encode(), room.Limits(**order["limits"]))
        reply = outcome.reply.decode() if outcome.reply is not None else None
        print(json.dumps(asdict(outcome) | {"reply": reply}), flush=True)
    opened.close()


if __name__ == "__main__":
    main()
