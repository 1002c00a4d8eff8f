"""The page of each command, made of the program's own help, at the address reference/cli/WORDS-JOINED."""

import re
from collections.abc import Iterator, Mapping

from cyclopts import App

from memspan.cli.app import new_app
from memspan.cli.mistakes import commands_of
from reference import table, toctree

OPTION = re.compile(r"^\* `(.+?)`: (.*(?:\n    .*)*)", re.MULTILINE)
"""An option in the help that cyclopts writes in Markdown."""
NAME = re.compile(r"(?<![`\w])(--[a-z-]+(?:\.[a-z]\w*)?)")
"""The name of an option within a text."""
NOTE = re.compile(r" ?\*{0,2}\[((?:default|env|choices|required)[^]]*)\]\*{0,2}\.?")
"""What cyclopts writes at the end of an option."""

COMMON = "[The exit codes](../../command-line.md#exit-codes) are those of all commands."
INDEX = """\
# The command line

`memspan COMMAND --help` prints the same texts.

{commands}

What all commands have in common, such as exit codes: [memspan in scripts and terminals](../../command-line.md).

{contents}
"""


def pages() -> Mapping[str, str]:
    """Return the page of each command and of each group, and that of all."""
    listed = dict(commands(new_app(), ()))
    made = {f"cli/{address(words)}.md": page(words, app) for words, app in listed.items()}
    rows = [(link(words), summary(app)) for words, app in listed.items()]
    contents = toctree(address(words) for words in listed if len(words) == 1)
    return made | {"cli/index.md": INDEX.format(commands=table(("command", ""), rows), contents=contents)}


def commands(app: App, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], App]]:
    """Yield every command and group, with the words that call it."""
    for name in commands_of(app):
        yield (*above, name), app[name]
        yield from commands(app[name], (*above, name))


def address(words: tuple[str, ...]) -> str:
    """Return the name of the page of a command: `memspan study run` has study-run."""
    return "-".join(words)


def link(words: tuple[str, ...]) -> str:
    """Return a link to the page of a command."""
    return f"[`memspan {' '.join(words)}`]({address(words)}.md)"


def summary(app: App) -> str:
    """Return the first sentence of the help of a command."""
    return " ".join(str(app.help).partition("\n\n")[0].split())


def page(words: tuple[str, ...], app: App) -> str:
    """Return the page of a command."""
    usage, text = re.search(
        r"```console\n(.*?)\n```\n(.*)", app.generate_docs(recursive=False), re.DOTALL
    ).groups()
    call = f"memspan {' '.join(words)} {usage.partition(' ')[2].removeprefix(' '.join(words[1:])).strip()}"
    if below := [*commands(app, words)]:
        text = re.split(r"^\*\*Commands\*\*|^## ", text, flags=re.MULTILINE)[0]
        text += table(("command", ""), [(link(more), summary(one)) for more, one in below])
        text += "\n\n" + toctree(address(more) for more, _ in below)
    text = re.sub(r"^\*\*(Arguments|Parameters)\*\*:", r"## \1", text, flags=re.MULTILINE)
    call, text = f"```console\n{call.strip()}\n```", OPTION.sub(definition, text).strip()
    return f"# `memspan {' '.join(words)}`\n\n{call}\n\n{text}\n\n{COMMON}\n"


def definition(option: re.Match[str]) -> str:
    """Return an option as a term with its definition, which ends with its notes, such as the default."""
    text = " ".join(option[2].split())
    notes = "; ".join(NOTE.findall(text))
    text = NAME.sub(r"`\1`", NOTE.sub("", text).strip().removesuffix(".") + ".")
    return f"`{option[1]}`\n: {text}" + (f" *{notes[0].upper()}{notes[1:]}.*\n" if notes else "\n")
