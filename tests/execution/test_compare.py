import pytest

from memspan import Comparison, Configuration, InvalidArgument, compare

TINY = {"hidden": 2, "updates": 5}


def test_configurations_that_train_the_same_are_refused():
    same = [Configuration(**TINY), Configuration(**TINY, task_parameters={"tolerance": 0.1})]
    with pytest.raises(InvalidArgument, match="configurations must be at least two different ones"):
        compare(same, progress=False)


def test_a_list_takes_the_settings_of_a_comparison():
    settings = {
        "width": 5.0,
        "budget": 8,
        "groups": 2,
        "repetitions": 2,
        "level": 0.8,
        "share": 0.4,
        "longest": 50,
    }
    listed = compare([Configuration(**TINY), Configuration(**TINY, cell="gru")], progress=False, **settings)
    compared = compare(Comparison(**TINY, cell="rnn,gru", **settings), progress=False)
    assert [one.search for one in listed.results] == [one.search for one in compared.results]
    assert listed.numbers()["pairs"][0]["ratio"] == compared.numbers()["pairs"][0]["ratio"]


def test_settings_that_are_none_are_refused():
    listed = [Configuration(**TINY), Configuration(**TINY, cell="gru")]
    with pytest.raises(InvalidArgument, match=r"^Unknown argument 'budge' of compare\. Did you mean 'budget'"):
        compare(listed, budge=3)
    with pytest.raises(
        InvalidArgument, match=r"^Unknown argument 'retry' of compare\. Did you mean 'retry_failed'"
    ):
        compare(listed, retry=True)
    with pytest.raises(InvalidArgument, match=r"^Unknown argument 'cell' of compare"):
        compare(listed, cell="lstm")
    with pytest.raises(InvalidArgument, match="tune must be left out, because only a Comparison has it"):
        compare(listed, tune={"learning_rate": (0.1, 0.2)})
    with pytest.raises(InvalidArgument, match="width must be left out, because the Comparison has its own"):
        compare(Comparison(cell="rnn,gru"), width=0.2)
