"""How the commands of a page are read, and how what they print is compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.shell_blocks import Command, Outcome, commands, differences, left_out, run, same, with_outputs

PAGE = """
```sh
echo one   # a comment
false      # exit status 1: that is meant
```

<!-- not run: it takes a day -->
```sh
sleep 86400
```

<!-- exit status 3 -->
```console
$ echo two
two
$ sh -c 'exit 3'
```

```python
print("it's")
```

```json
{"not": "a command"}
```
"""


def test_commands_of_a_page() -> None:
    assert commands(PAGE) == [
        Command("echo one   # a comment"),
        Command("false      # exit status 1: that is meant", status=1),
        Command("echo two", shown="two\n"),
        Command("sh -c 'exit 3'", shown="", status=3),
        Command("""python -c 'print("it'"'"'s")\n'"""),
    ]
    assert left_out(PAGE) == ["it takes a day"]


def test_a_line_that_goes_on() -> None:
    assert commands("```sh\necho \\\n  one\n```") == [Command("echo   one")]


def test_one_shell_runs_them_all(tmp_path: Path) -> None:
    wanted = [Command("x=1; cd /"), Command("echo $x; pwd; cat; echo err >&2; false"), Command("exit"), Command("echo")]
    outcomes = run(wanted, tmp_path, {"PATH": "/usr/bin:/bin"}, tmp_path / "scratch")
    assert outcomes == [Outcome(0, ""), Outcome(1, "1\n/\nerr\n")]


@pytest.mark.parametrize(
    ("shown", "printed", "expected"),
    [
        ("a\n", "a\n", True),
        ("a\n", "b\n", False),
        ("a\n", "a\nb\n", False),
        ("a\n...\nc\n", "a\nb\nb\nc\n", True),
        ("a\n...\nc\n", "a\nb\n", False),
        ("NSFW score: 0.0109420800582\n", "NSFW score: 0.0109420801\n", True),
        ("NSFW score: 0.0109420800582\n", "NSFW score: 0.0119420800582\n", False),
        ("18 scored\n", "17 scored\n", False),
        ("1,000 scored; 26.7 pictures/s\n", "1,000 scored; 1,071.0 pictures/s\n", True),
    ],
)
def test_comparison(shown: str, printed: str, expected: bool) -> None:
    assert same(shown, printed) is expected


def test_what_varies_is_compared_by_its_words() -> None:
    assert same("worst 0.5 (a.jpg)\n", "worst 0.6 (b.jpg)\n", varies=True)
    assert not same("worst 0.5 (a.jpg)\n", "best 0.6 (b.jpg)\n", varies=True)


def test_differences_name_the_command() -> None:
    (status,) = differences(Command("false"), Outcome(1, "why\n"))
    assert status == "exit status 1, not 0, of: false\nwhy\n"
    (text,) = differences(Command("echo a", shown="b\n"), Outcome(0, "a\n"))
    assert text == "shown for: echo a\nb\n\nbut printed:\na\n"


def test_outputs_are_put_into_the_page() -> None:
    page = "```console\n$ echo a\nb\n```\n"
    assert with_outputs(page, commands(page), [Outcome(0, "a\n")]) == "```console\n$ echo a\na\n```\n"
