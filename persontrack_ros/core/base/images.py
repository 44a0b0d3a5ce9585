"""The type of images."""

import numpy as np
from numpy.typing import NDArray

# Shape (height, width, 3), as OpenCV has it.
BgrImage = NDArray[np.uint8]
