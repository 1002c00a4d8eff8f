"""The error for a user's model that breaks a rule."""

from memspan.errors import InvalidArgument


class FaultyModel(InvalidArgument):
    """A factory or its model breaks a rule. The message names the factory, the rule and what was found."""

    def __str__(self) -> str:
        return "{} {}; {}{}.".format(*self.args)


def raised(error: BaseException | None) -> str:
    """Describe an error in one line."""
    return f"it raised {type(error).__name__}: {error}".partition("\n")[0].rstrip(".:")
