"""Pictures: encodings, scaling, and what is drawn into them."""

import numpy as np
from numpy.typing import NDArray

# Shape (height, width, 3), as OpenCV has it.
BgrImage = NDArray[np.uint8]
