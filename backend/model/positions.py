"""Where each token stands on the three axes of Qwen2.5-VL's rotary positions: time, height, width."""

import numpy as np

MERGE = 2  # the merger joins 2 x 2 patches into one token


def rope_positions(token_types: np.ndarray, grids: np.ndarray) -> np.ndarray:
    """Compute the positions of one conversation with still pictures.

    Text counts up on all axes alike; a picture keeps its time and spans its merged grid; what follows goes on behind
    the largest position so far.

    Args:
        token_types: (T,), 1 on picture tokens, else 0.
        grids: (N, 3), frames, patch rows, patch columns of each picture in order; frames are 1.

    Returns:
        (3, T) of int64.

    Source: `Qwen2_5_VLModel.get_rope_index` in transformers; a test compares the two.
    """
    total = len(token_types)
    positions = np.empty((3, total), dtype=np.int64)
    index = following = 0
    for _, rows, columns in grids:
        text = int(np.argmax(token_types[index:] == 1))
        positions[:, index : index + text] = following + np.arange(text)
        index, following = index + text, following + text
        height, width = rows // MERGE, columns // MERGE
        cells = int(height * width)
        positions[0, index : index + cells] = following
        positions[1, index : index + cells] = following + np.repeat(np.arange(height), width)
        positions[2, index : index + cells] = following + np.tile(np.arange(width), height)
        index, following = index + cells, following + int(max(height, width))
    positions[:, index:] = following + np.arange(total - index)
    return positions
