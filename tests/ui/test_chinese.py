"""Where lines of Chinese may break."""

import itertools

import rich._wrap
from rich._wrap import divide_line

from dltutor.ui import chinese


def lines(text: str, width: int) -> list[str]:
    cuts = [0, *divide_line(text, width), len(text)]
    return [text[start:end].rstrip() for start, end in itertools.pairwise(cuts)]


def test_rich_asks_for_words_where_they_are_replaced():
    assert rich._wrap.divide_line.__globals__ is vars(rich._wrap)
    assert callable(rich._wrap.words)


def test_chinese_fills_the_line_and_marks_stay_with_their_characters(monkeypatch):
    monkeypatch.setattr(rich._wrap, "words", chinese.words)
    assert lines("直线一侧答是，另一侧答否。", 14) == ["直线一侧答是，", "另一侧答否。"]
    assert lines("直线一侧答是，另一侧答否。", 12) == ["直线一侧答", "是，另一侧答", "否。"]
    assert lines("他说“好”就走了", 6) == ["他说", "“好”就", "走了"]


def test_english_breaks_at_spaces_as_ever(monkeypatch):
    monkeypatch.setattr(rich._wrap, "words", chinese.words)
    assert lines("one (two) three, four", 10) == ["one (two)", "three,", "four"]


def test_nothing_is_lost():
    text = "第 2 课：w₁x₁+b>0（见图 1）。 end “x”…  "
    assert "".join(piece for _start, _end, piece in chinese.words(text)) == text


def test_a_line_breaks_neither_at_a_no_break_space_nor_before_a_bracket_within_a_word(monkeypatch):
    monkeypatch.setattr(rich._wrap, "words", chinese.words)
    assert lines("so 2\u00a0(p\u00a0-\u00a0t) it is", 11) == ["so", "2\u00a0(p\u00a0-\u00a0t)", "it is"]
    assert lines("call range(N, 3)", 10) == ["call", "range(N,", "3)"]
    assert lines("看f(x)的值", 6) == ["看f(x)", "的值"]
    assert lines("形状x(见图)", 7) == ["形状x", "(见图)"]
