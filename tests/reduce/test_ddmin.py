from ncgopt.reduce.ddmin import ddmin


def test_what_is_needed_is_kept_in_order():
    for needed in ({0}, {19}, {3, 17}, {0, 1, 2}, {4, 9, 14, 19}):
        asked: list[tuple[int, ...]] = []

        def shows(part, needed=needed, asked=asked):
            asked.append(tuple(part))
            return needed <= set(part)

        assert ddmin(range(20), shows) == sorted(needed)
        assert all(part == tuple(sorted(part)) for part in asked)


def test_a_part_that_needs_everything_stays_whole():
    assert ddmin("abc", lambda part: len(part) == 3) == list("abc")
    assert ddmin("a", lambda part: True) == ["a"]
