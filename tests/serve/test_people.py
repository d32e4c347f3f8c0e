"""Who may come in: by the roster, by a code, or anybody; and the key that the server is known by."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from dltutor.errors import DltutorError
from dltutor.serve.people import (
    CODE_MINUTES,
    NEW_PEOPLE,
    WRONG_CODES,
    Allowance,
    People,
    fingerprint,
    host_key,
    label,
)
from dltutor.serve.settings import Settings

HERE = "127.0.0.1"


class Events:
    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []

    def event(self, name: str, /, **fields: Any) -> None:
        self.told.append((name, fields))

    def of(self, name: str) -> list[dict[str, Any]]:
        return [fields for told, fields in self.told if told == name]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known(state: Path, events: Events, clock: Clock) -> Callable[..., People]:
    return lambda **settings: People(Settings(state, **settings), events, clock)


def key_of(name: str) -> tuple[str, str]:
    """A fingerprint, and the line of a roster."""
    key = asyncssh.generate_private_key("ssh-ed25519", comment=name).convert_to_public()
    return fingerprint(key), key.export_public_key().decode().strip()


# ---------------------------------------------------------------- the server's own key


def test_s1_the_host_key_is_made_once_for_its_owner_alone(state: Path) -> None:
    old = os.umask(0)
    try:
        made = host_key(state / "host_key")
    finally:
        os.umask(old)
    assert made.get_algorithm() == "ssh-ed25519"
    assert stat.S_IMODE((state / "host_key").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert [path.name for path in state.iterdir()] == ["host_key"]
    assert host_key(state / "host_key").get_fingerprint() == made.get_fingerprint()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_s1_a_host_key_that_others_can_read_is_refused(state: Path, mode: int) -> None:
    host_key(state / "host_key")
    (state / "host_key").chmod(mode)
    with pytest.raises(DltutorError, match=f"can be read by others.*{mode:04o}") as caught:
        host_key(state / "host_key")
    assert "chmod 600" in caught.value.hint


def test_s1_a_host_key_that_is_none_is_kept_and_told(state: Path) -> None:
    state.mkdir()
    (state / "host_key").write_text("not a key")
    (state / "host_key").chmod(0o600)
    with pytest.raises(DltutorError, match="cannot be read"):
        host_key(state / "host_key")
    assert (state / "host_key").read_text() == "not a key"


# ---------------------------------------------------------------- the roster


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    return tmp_path / "roster"


def test_a_key_of_the_roster_is_a_learner(known: Callable[..., People], roster: Path, state: Path) -> None:
    ada, line = key_of("Ada Lovelace")
    roster.write_text(f"# the class of spring\n\n{line}\n")
    people = known(roster=roster)
    person = people.by_key(ada, "whatever")
    assert person and (person.id, person.name, person.folder) == (ada, "Ada Lovelace", state / "users" / ada)
    stranger, _line = key_of("")
    assert people.by_key(stranger, "Ada Lovelace") is None
    assert not people.may_try(stranger, "Ada Lovelace")


def test_a_key_without_a_comment_goes_by_the_name_they_come_with(known: Callable[..., People], roster: Path) -> None:
    key, line = key_of("")
    roster.write_text(line)
    person = known(roster=roster).by_key(key, "li")
    assert person and person.name == "li"


def test_the_roster_is_read_anew_when_it_changes(known: Callable[..., People], roster: Path) -> None:
    (ada, first), (alan, second) = key_of("Ada"), key_of("Alan")
    roster.write_text(first)
    people = known(roster=roster)
    assert people.by_key(ada, "") and not people.by_key(alan, "")
    roster.write_text(second)
    assert people.by_key(alan, "") and not people.by_key(ada, "")


def test_who_is_taken_off_the_roster_may_not_stay(known: Callable[..., People], roster: Path) -> None:
    (ada, first), (_alan, second) = key_of("Ada"), key_of("Alan")
    roster.write_text(first)
    people = known(roster=roster)
    person = people.by_key(ada, "")
    assert person and people.may_stay(person)
    roster.write_text(second)
    assert not people.may_stay(person)
    assert known(open=True).may_stay(person)


def test_a_roster_that_vanishes_keeps_nobody_out(known: Callable[..., People], roster: Path, events: Events) -> None:
    ada, line = key_of("Ada")
    roster.write_text(line)
    people = known(roster=roster)
    roster.unlink()
    assert people.by_key(ada, "") and people.by_key(ada, "")
    assert len(events.of("roster unreadable")) == 1
    roster.write_text("")
    assert not people.by_key(ada, "")


@pytest.mark.parametrize(
    "broken",
    [
        "ssh-ed25519 AAAA Ada",
        "ssh-ed25519",
        "Ada Lovelace",
        'from="10.0.0.1" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKd0 Ada',
        "cert-authority ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKd0 Ada",
        "\x00\x01\x02",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ],
)
def test_a_broken_line_is_told_with_its_number_and_skipped(
    known: Callable[..., People], roster: Path, events: Events, broken: str
) -> None:
    ada, line = key_of("Ada")
    roster.write_text(f"# a class\n{broken}\n{line}\n")
    assert known(roster=roster).by_key(ada, "")
    assert [told["line"] for told in events.of("roster line skipped")] == [2]


def test_without_a_roster_there_is_no_class(known: Callable[..., People], state: Path) -> None:
    with pytest.raises(DltutorError, match=str(state / "roster")) as caught:
        known()
    assert "--class-code" in caught.value.hint


def test_the_folder_of_a_learner_is_theirs_alone(known: Callable[..., People], roster: Path) -> None:
    ada, line = key_of("../../etc/passwd")
    roster.write_text(line)
    people = known(roster=roster)
    person = people.by_key(ada, "root")
    assert person and person.name == "../../etc/passwd" and person.folder.name == ada
    people.welcome(person, HERE)
    assert stat.S_IMODE(person.folder.stat().st_mode) == stat.S_IMODE(person.folder.parent.stat().st_mode) == 0o700
    assert len(people) == 1


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Ada  Lovelace\n", "Ada Lovelace"),
        ("李伟", "李伟"),
        ("ＡＤＡ", "ADA"),
        ("\x1b[31mred\x07", "[31mred"),
        ("a\u202eb\u200bc", "abc"),
        ("x" * 100, "x" * 32),
        ("\u0000", ""),
        ("join-abcdefgh", ""),
    ],
)
def test_a_name_is_a_label_that_no_terminal_obeys(given: str, shown: str) -> None:
    assert label(given) == shown


# ---------------------------------------------------------------- anybody


def test_open_takes_any_key_and_not_too_many_new_ones_from_one_address(
    known: Callable[..., People], clock: Clock
) -> None:
    people = known(open=True)
    persons = [people.by_key(f"{number:064x}", "li") for number in range(NEW_PEOPLE[0] + 1)]
    for person in persons[:-1]:
        assert person and person.name == "li"
        people.welcome(person, HERE)
    with pytest.raises(DltutorError, match=HERE):
        people.welcome(persons[-1], HERE)  # type: ignore[arg-type]
    people.welcome(persons[0], HERE)  # type: ignore[arg-type]  # who is known comes in
    people.welcome(persons[-1], "10.0.0.9")  # type: ignore[arg-type]


def test_an_allowance_is_renewed(clock: Clock) -> None:
    allowance = Allowance(2, 60, clock)
    assert [allowance.take("a") for _time in range(3)] == [True, True, False]
    assert allowance.take("b") and allowance.spent("a")
    clock.now += 60
    assert not allowance.spent("a")


# ---------------------------------------------------------------- the class code


def test_the_class_code_enrols_a_key_for_good(known: Callable[..., People], state: Path) -> None:
    people = known(class_code="Maple 7")
    ada, _line = key_of("")
    assert people.ask_code and people.may_try(ada, "ada") and not people.by_key(ada, "ada")
    assert people.right_code(" maple 7", HERE) and not people.right_code("maple", HERE)
    assert people.enrol(ada, "ada").name == "ada"
    assert stat.S_IMODE((state / "people.json").stat().st_mode) == 0o600
    person = known(class_code="another").by_key(ada, "someone")
    assert person and person.name == "ada"


def test_an_address_has_so_many_wrong_codes(known: Callable[..., People], clock: Clock) -> None:
    people = known(class_code="maple")
    assert not any(people.right_code("oak", HERE) for _time in range(WRONG_CODES[0]))
    with pytest.raises(DltutorError, match="Too many wrong codes"):
        people.right_code("maple", HERE)
    assert people.right_code("maple", "10.0.0.9")
    clock.now += WRONG_CODES[1]
    assert people.right_code("maple", HERE)


def test_what_is_known_of_people_is_never_overwritten_unread(known: Callable[..., People], state: Path) -> None:
    state.mkdir()
    (state / "people.json").write_text('{"enrolled": {')
    with pytest.raises(DltutorError, match=r"people\.json"):
        known(open=True)


# ---------------------------------------------------------------- another key


def test_a_second_key_joins_by_a_code_once(known: Callable[..., People], roster: Path, state: Path) -> None:
    (ada, line), (laptop, _line) = key_of("Ada"), key_of("")
    roster.write_text(line)
    people = known(roster=roster)
    code, minutes = people.join_code(people.by_key(ada, ""))  # type: ignore[arg-type]
    assert minutes == CODE_MINUTES and len(code) == 8
    assert people.may_try(laptop, f"join-{code}") and not people.may_try(laptop, "join-aaaaaaaa")
    assert people.join(laptop, f"join-{code.upper()}", HERE).id == ada
    with pytest.raises(DltutorError, match="wrong, or has expired"):
        people.join(laptop, f"join-{code}", HERE)
    again = known(roster=roster).by_key(laptop, "li")
    assert again and (again.id, again.name) == (ada, "Ada")
    assert json.loads((state / "people.json").read_text())["keys"] == {laptop: ada}
    roster.write_text("")
    assert not known(roster=roster).by_key(laptop, "li")  # who leaves the roster leaves it with all keys


def test_a_code_to_join_grows_old_and_is_replaced(known: Callable[..., People], clock: Clock) -> None:
    people = known(open=True)
    person = people.by_key("a" * 64, "ada")
    assert person
    first, second = people.join_code(person)[0], people.join_code(person)[0]
    with pytest.raises(DltutorError):
        people.join("b" * 64, f"join-{first}", HERE)
    clock.now += 60 * CODE_MINUTES
    with pytest.raises(DltutorError):
        people.join("b" * 64, f"join-{second}", HERE)


def test_codes_to_join_cannot_be_tried_one_after_the_other(known: Callable[..., People]) -> None:
    people = known(open=True)
    code, _minutes = people.join_code(people.by_key("a" * 64, "ada"))  # type: ignore[arg-type]
    for number in range(WRONG_CODES[0]):
        with pytest.raises(DltutorError):
            people.join("b" * 64, f"join-{number:08d}", HERE)
    with pytest.raises(DltutorError):
        people.join("b" * 64, f"join-{code}", HERE)
    assert people.join("b" * 64, f"join-{code}", "10.0.0.9").name == "ada"
