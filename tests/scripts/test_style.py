"""Files of figures, and the looks of lines."""

import pytest
from figures import MAX_STYLES, encode, line_style, new_figure


@pytest.mark.slow
def test_files_are_the_same_for_the_same_figure() -> None:
    for suffix, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        contents = []
        for _ in range(2):
            figure = new_figure(2, 2)
            figure.subplots().set_title("a curve of \u5916\u5957")
            contents.append(encode(figure, suffix))
        assert contents[0] == contents[1] and contents[0].startswith(start)


def test_lines_differ_in_colour_or_dashes() -> None:
    assert len({str(line_style(index)) for index in range(MAX_STYLES)}) == MAX_STYLES
