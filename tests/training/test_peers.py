"""One suite for all peers, then what each of them is for."""

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from tests.builders.networks import make_generator, make_images, make_network
from training import peers
from training.baseline_scores import HealthySlices
from training.peers import PEERS, FeaturePeer, Padim, fit_peers

SIDE_PX = 32
INSIDE = torch.ones(1, 1, SIDE_PX, SIDE_PX, dtype=torch.bool)

every_peer = pytest.mark.parametrize("name", PEERS)


def look(images: Tensor) -> list[Tensor]:
    """Give the grey level and its slopes as feature maps of a quarter of the size."""
    level = torch.nn.functional.avg_pool2d(images, 4)
    rows, columns = (torch.diff(level, dim=d, append=level.narrow(d, -1, 1)) for d in (2, 3))
    return [torch.cat([level, rows, columns], dim=1)]


def fit(name: str, count: int = 48) -> FeaturePeer:
    return PEERS[name](look).fit(make_images(count), INSIDE.expand(count, -1, -1, -1))


def put_blob(images: Tensor) -> Tensor:
    changed = images.clone()
    changed[..., 12:20, 12:20] += 1.5
    return changed


@every_peer
def test_an_error_map_has_the_shape_of_the_scans_and_does_not_depend_on_their_number(name):
    peer, images = fit(name), make_images(20, seed=3)

    together = peer.error_map(images)

    assert together.shape == images.shape
    assert together.dtype == torch.float32
    assert together.min() >= 0.0
    alone = torch.cat([peer.error_map(image[None]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


@every_peer
def test_equal_scans_give_equal_fits(name):
    images = make_images(3, seed=3)

    assert torch.equal(fit(name).error_map(images), fit(name).error_map(images))


@every_peer
def test_a_blob_is_found(name, monkeypatch):
    monkeypatch.setattr(peers, "FEATURE_COMPONENTS", 4)
    healthy = make_images(24, seed=3)
    sick = put_blob(healthy)
    peer = fit(name)

    scores = torch.cat(
        [peer.score(batch, INSIDE.expand(24, -1, -1, -1)) for batch in (healthy, sick)]
    )

    assert roc_auc_score([0] * 24 + [1] * 24, scores.numpy()) > 0.9


def test_padim_is_the_mahalanobis_distance_of_each_place():
    images = make_images(60, seed=1)
    peer = Padim(look).fit(images, INSIDE.expand(60, -1, -1, -1))
    shown = make_images(1, seed=5)

    found = torch.cat([peer._measure(grid) for grid in peer._embed(shown)])

    flat = look(images)[0].double()[:, :, 2, 3]
    apart = look(shown)[0].double()[0, :, 2, 3] - flat.mean(0)
    covariance = torch.cov(flat.T) + 0.01 * torch.eye(3, dtype=torch.float64)
    expected = (apart @ torch.linalg.inv(covariance) @ apart).sqrt()
    assert float(found[0, 0, 2, 3]) == pytest.approx(float(expected), rel=1e-3)


def test_a_memory_covers_far_patches_first():
    patches = torch.cat([torch.randn(50, 2, generator=make_generator()), torch.full((1, 2), 30.0)])

    assert 50 in peers._cover(patches, 2).tolist()


def test_the_features_at_hand_decide_which_peers_there_are(monkeypatch):
    def refuse(_):
        raise peers.MissingExtra("not installed")

    monkeypatch.setattr(peers, "load_perceptual_features", refuse)
    images = make_images(8)
    healthy = HealthySlices(images, INSIDE.expand(8, -1, -1, -1), ("a",) * 8, 8, 8)

    assert fit_peers(make_network("ae"), healthy) == {}
    found = fit_peers(make_network("denoising_unet"), healthy)
    assert set(found) == {f"{n}_own{p}" for n in PEERS for p in ("", "_mean")}
    hottest, mean = found["padim_own"], found["padim_own_mean"]
    assert torch.equal(hottest.error_map(images), mean.error_map(images))
    assert (hottest.score(images, INSIDE) >= mean.score(images, INSIDE)).all()
