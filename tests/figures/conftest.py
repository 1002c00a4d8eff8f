import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def no_figure_is_left():
    """Close what a test has drawn with pyplot, so that no test sees the figures of another one."""
    yield
    plt.close("all")
