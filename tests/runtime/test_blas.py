import pytest
from threadpoolctl import ThreadpoolController

from memspan.runtime.blas import one_blas_thread, with_one_blas_thread


def threads():
    """The number of threads of every loaded BLAS."""
    return [library["num_threads"] for library in ThreadpoolController().select(user_api="blas").info()]


@pytest.fixture
def two_threads():
    with one_blas_thread():
        pass  # the kernels' BLAS is loaded
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        assert set(threads()) == {2}
        yield


def test_inside_there_is_one_thread_and_afterwards_as_many_as_before(two_threads):
    assert set(with_one_blas_thread(threads)) == {1}
    assert set(threads()) == {2}


def test_the_limit_holds_until_the_last_of_two_has_left(two_threads):
    """Like two learners in threads, of which the first to begin ends first."""
    first, second = one_blas_thread(), one_blas_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert set(threads()) == {1}
    second.__exit__(None, None, None)
    assert set(threads()) == {2}


def test_an_error_inside_lifts_the_limit(two_threads):
    with pytest.raises(RuntimeError), one_blas_thread(), one_blas_thread():
        raise RuntimeError
    assert set(threads()) == {2}
