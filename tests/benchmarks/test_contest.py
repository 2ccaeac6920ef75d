from benchmarks.contest import in_turns, middle


def test_contestants_take_turns_and_each_round_begins_with_another():
    order = []
    contestants = {name: lambda name=name: order.append(name) or len(order) for name in "abc"}
    results = in_turns(contestants, 3)
    assert "".join(order) == "abcbcacab"
    assert results == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}


def test_one_slow_round_does_not_move_the_median():
    assert middle([2.0, 2.1, 60.0]) == 2.1
