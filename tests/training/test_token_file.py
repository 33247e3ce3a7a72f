from modelyard.training.token_file import TokenFile
from modelyard.training.tokens import Example

ROWS = [
    Example((1, 200_000, 3), (False, True, True), "a" * 64),
    Example((), (), "b" * 64),
    Example((7,), (False,), "c" * 64, truncated=True),
]


def write(rows: list[Example]) -> TokenFile:
    file = TokenFile()
    for row in rows:
        file.append(row)
    return file


def test_examples_come_back_as_they_were_in_any_order() -> None:
    file = write(ROWS)
    assert (len(file), list(file), file[-1], list(file[:2])) == (3, ROWS, ROWS[-1], ROWS[:2])
    assert [file.digest(index).hex() for index in range(3)] == [row.digest for row in ROWS]


def test_a_selection_has_its_own_order_and_may_be_empty() -> None:
    file = write(ROWS)
    chosen = file.select([2, 0])
    assert (list(chosen), chosen[1], list(chosen[1:]), len(file.select([]))) == ([ROWS[2], ROWS[0]], ROWS[0], [ROWS[0]], 0)
