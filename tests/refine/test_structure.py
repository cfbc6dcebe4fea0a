"""The start that continues lines does continue them."""

import numpy as np

from lgnet_cli.refine.level import Level
from lgnet_cli.refine.structure import continued


def test_a_line_crosses_the_hole_and_all_of_it_is_filled() -> None:
    image = np.full((60, 60, 4), 200, np.float32)
    image[27:33, :, :3] = 20
    image[:, :, 3] = 0  # the measure of contrast, which is even here
    hole = np.zeros((60, 60), bool)
    hole[20:40, 22:38] = True
    image[hole] = 110
    filled = continued(Level(image, hole, ~hole))
    assert not (filled[hole][:, 0] == 110).any()
    np.testing.assert_array_equal(filled[~hole], image[~hole])
    assert (filled[29:31, 22:38, 0] < 60).all()
    assert (filled[21:25, 24:36, 0] > 150).all()
