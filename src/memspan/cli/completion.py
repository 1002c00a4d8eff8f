"""`memspan completion`."""

from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.completion.detect import ShellDetectionError, detect_shell

from memspan.errors import NotFound

Shell = Literal["bash", "zsh", "fish", "powershell"]


def completion(shell: Shell | None = None, /, *, install: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Print the script with which a shell completes commands, options, and names of cells, tasks and studies.

    **Completion in bash, zsh or fish**, from the next shell on:

        memspan completion bash --install

    **Only the script**, for a package or a folder of your own:

        memspan completion zsh > _memspan

    Parameters
    ----------
    shell
        Shell for which the script is [default: the one in which this runs].
    install
        Write the script to the folder of the shell in your home folder, and load it in .bashrc or .zshrc.
    """
    from memspan.cli.app import new_app

    try:
        chosen = detect_shell() if shell is None else shell
    except ShellDetectionError:
        message = "Which shell? Name one: `memspan completion bash`, or zsh, fish or powershell."
        raise NotFound(message) from None
    if install:
        print(new_app().install_completion(shell=chosen))
    else:
        print(new_app().generate_completion(shell=chosen))
    return 0
