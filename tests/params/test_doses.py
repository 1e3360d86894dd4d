"""`analysis.steering_doses`: what may stand there, and the sentence for what may not."""

import pytest
from pydantic import ValidationError

from polysem.params.analysis import Analysis


def test_doses_ascend_and_hold_the_maximum_itself():
    assert Analysis(steering_doses=[0.25, 1, 7]).steering_doses == [0.25, 1.0, 7.0]
    assert Analysis().steering_doses == [0.5, 1, 2, 5]


@pytest.mark.parametrize(
    ("doses", "said"),
    [
        ([1, 0.5], "do not ascend"),
        ([0, 1], "do not ascend"),
        ([1, 1], "do not ascend"),
        ([2, 3], "lack 1"),
        ([], "lack 1"),
    ],
)
def test_other_doses_are_refused(doses, said):
    with pytest.raises(ValidationError, match=said):
        Analysis(steering_doses=doses)
