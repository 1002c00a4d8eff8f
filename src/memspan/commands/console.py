"""Where commands write: the terminal, and folders."""

from pathlib import Path

from rich.console import Console

from memspan.errors import InvalidArgument


def new_console() -> Console:
    """Standard output; a file or a pipe is given room for the widest table."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


def new_folder(output: Path, record: str) -> None:
    """Make it before hours are spent on what goes into it."""
    if (output / record).exists():
        raise InvalidArgument("output", f"a folder without {record}, which would be lost", output)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidArgument("output", "a folder that can be made", f"{output}: {error.strerror}") from error
