"""A file of edges comes back as the graph that was written, and what is no edge is named with its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.errors import ConfigError
from gossipfl.overlay import edges
from gossipfl.scenario.edge_file import BYTES_MAX, read


@pytest.fixture
def edge_file(tmp_path):
    def write(text):
        path = tmp_path / "edges.txt"
        path.write_text(text)
        return path

    return write


def test_names_are_words_in_their_order_and_comments_are_none(edge_file):
    names, found = read(edge_file("# the office\ncarol alice # a pair\n\n  alice\tbob\ncarol bob\nlone\n"))
    assert names == ("carol", "alice", "bob", "lone")
    assert found == ((0, 1), (0, 2), (1, 2))


def test_numbers_are_sorted_as_numbers_and_both_directions_are_one_edge(edge_file):
    assert read(edge_file("10 2\n2 10\n1 2\n")) == (("1", "2", "10"), ((0, 1), (1, 2)))


@given(st.integers(1, 12), st.data())
def test_any_graph_comes_back_from_its_file(tmp_path_factory, n, data):
    graph = tuple(pair for pair in edges("full", n) if data.draw(st.booleans()))
    path = tmp_path_factory.mktemp("edges") / "graph.txt"
    path.write_text("".join([*(f"{i}\n" for i in range(n)), *(f"{i} {j}\n" for i, j in graph)]))
    assert read(path) == (tuple(map(str, range(n))), graph)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a b\nb c d\n", "edges.txt, line 2: 'b c d' is no edge"),
        ("a a\n", "edges.txt, line 1: 'a a' is no edge"),
        ("# nothing\n", "holds no edge"),
        ("a b\na,b\n", "edges.txt, line 2: 'a,b' divides names by a comma"),
        ("a, b\n", "write blanks between them"),
        ("b;c\n", "write blanks between them"),
    ],
)
def test_a_line_that_is_no_edge_is_named(edge_file, text, complaint):
    with pytest.raises(ConfigError, match=complaint):
        read(edge_file(text))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "picture").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ConfigError, match="is no text file"):
        read(tmp_path / "picture")


def test_a_file_that_is_too_long_to_be_one_is_not_read(tmp_path):
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(BYTES_MAX + 1)
    with pytest.raises(ConfigError, match="longer than 16 MiB"):
        read(tmp_path / "huge")
