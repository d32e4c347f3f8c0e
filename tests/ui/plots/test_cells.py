"""Cells: text, wide characters, and their ways out."""

import numpy as np
import pyte

from dltutor.ui.plots.cells import TRUE, Cells, cut, width_of


def test_a_wide_character_takes_two_cells():
    cells = Cells(8, 1)
    assert cells.text(0, 0, "损失 x") == 6
    assert cells.plain() == "损失 x"
    assert width_of(cells.rows()[0]) == 8


def test_a_wide_character_is_not_cut_in_half_at_the_edge():
    cells = Cells(5, 1)
    cells.text(0, 0, "训练失")
    assert cells.rows() == ["训练 "]


def test_drawing_over_half_of_a_wide_character_leaves_a_blank_for_the_other_half():
    right, left = Cells(4, 1), Cells(4, 1)
    right.text(0, 0, "损失")
    right.put(1, 0, "x", -1)
    left.text(0, 0, "损失")
    left.put(2, 0, "x", -1)
    assert right.rows() == [" x失"]
    assert left.rows() == ["损x "]


def test_text_outside_is_left_out():
    cells = Cells(4, 2)
    cells.text(-2, 0, "abcdefgh")
    cells.text(0, 2, "below")
    cells.text(0, -1, "above")
    assert cells.rows() == ["cdef", "    "]


def test_a_window_draws_into_its_cells():
    cells = Cells(6, 3)
    cells.window(2, 1, 10, 10).text(0, 0, "hi")
    assert cells.rows()[1] == "  hi  "
    assert (cells.window(2, 1, 10, 10).width, cells.window(9, 9, 2, 2).width) == (4, 0)


def test_cut_text_ends_in_dots_and_fits():
    assert cut("learning rate", 8) == "learnin…"
    assert cut("学习率曲线", 7) == "学习率…"
    assert width_of(cut("学习率曲线", 6)) <= 6
    assert cut("abc", 0) == ""


def test_ansi_shows_the_same_cells_on_a_terminal():
    cells = Cells(12, 2)
    cells.text(0, 0, "损失", TRUE | 0xFF8700, 18)
    cells.text(5, 0, "plain", 12)
    cells.text(0, 1, "deep", 75, 236)
    screen = pyte.Screen(12, 2)
    pyte.Stream(screen).feed(cells.ansi().replace("\n", "\r\n"))
    assert [row.rstrip() for row in screen.display] == ["损失 plain", "deep"]
    assert (screen.buffer[0][0].fg, screen.buffer[0][0].bg) == ("ff8700", "000087")
    assert (screen.buffer[0][5].fg, screen.buffer[0][5].bg) == ("brightblue", "default")
    assert (screen.buffer[1][0].fg, screen.buffer[1][0].bg) == ("5fafff", "303030")


def test_segments_are_few_and_take_the_theme_where_the_plot_leaves_colours_open():
    cells = Cells(20, 1)
    cells.text(0, 0, "a b c", 75)
    segments = cells.segments(0, fg=TRUE | 0x111111, bg=TRUE | 0x222222)
    assert "".join(segment.text for segment in segments) == "a b c".ljust(20)
    assert len(segments) <= 2
    assert segments[0].style.color.triplet.hex == "#5fafff"
    assert segments[0].style.bgcolor.triplet.hex == "#222222"


def test_changed_names_the_rows_and_columns_that_differ():
    old, new = Cells(10, 3), Cells(10, 3)
    new.text(2, 1, "xy")
    new.bg[2, 9] = 18
    assert new.changed(old) == [(1, 2, 4), (2, 9, 10)]
    assert new.changed(new) == []


def test_paste_cuts_what_does_not_fit():
    cells, stamp = Cells(4, 2), Cells(3, 3)
    stamp.ch[:] = ord("#")
    cells.paste(stamp, 2, 1)
    assert cells.rows() == ["    ", "  ##"]
    assert np.array_equal(cells.fg, np.full((2, 4), -1))
