"""Re-identification of real persons on real video."""

import numpy as np
import pytest


def test_no_boxes(embedder, vtest):
    assert embedder.embed(vtest[1], np.empty((0, 4))).shape == (0, 256)


@pytest.mark.parametrize('count', [1, 2, 3, 4, 5, 7, 8, 9, 15, 21])
def test_one_unit_vector_per_box(embedder, vtest, count):
    """Whatever the number, each vector is the one of its box alone."""
    random = np.random.default_rng(count)
    boxes = random.uniform([0, 0, 20, 60], [700, 450, 60, 120], (count, 4))
    vectors = embedder.embed(vtest[1], boxes)
    assert vectors.shape == (count, 256)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for index in (0, count - 1):
        alone = embedder.embed(vtest[1], boxes[index : index + 1])[0]
        assert alone @ vectors[index] > 0.995


def test_a_box_partly_outside_is_clipped(embedder, vtest):
    clipped, partly = embedder.embed(
        vtest[1], np.array([[0, 100, 40, 120], [-30, 100, 70, 120.0]])
    )
    assert clipped @ partly > 0.995


def test_vectors_stay_when_the_embedder_is_used_again(embedder, vtest):
    boxes = np.array([[100, 100, 50, 120], [300, 200, 50, 120.0]])
    first = embedder.embed(vtest[1], boxes)
    kept = first.copy()
    embedder.embed(vtest[21], boxes + 10)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_allclose(embedder.embed(vtest[1], boxes), kept, atol=1e-6)
