"""Published detectors on features, written from their papers, to hold a bundle against.

Each is a baseline like the others: fitted on the bundle's healthy slices, scored on its road. The
features are those of a frozen network, or those that the bundle's own network learnt.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, Self, TypeVar

import torch
from sklearn.utils.extmath import randomized_svd
from torch import Tensor
from torch.nn import functional

from models.errors import MissingExtra
from models.networks.baselines import HOTTEST_SHARE, WHOLE_FOREGROUND, Baseline, MapBaseline
from models.networks.denoising_unet import DenoisingUnet
from models.networks.perceptual import DEEP_BLOCKS
from models.networks.reconstruction import Network
from training.baseline_scores import HealthySlices
from training.perceptual_weights import load_perceptual_features

# Slices whose features are computed at once.
CHUNK_IMAGES = 16
# Every random choice of a peer is drawn from its own generator: every fit is the same.
PEER_SEED = 0
# Defard et al. 2020: so many of the channels, drawn at random, lose next to nothing.
PADIM_CHANNELS = 100
PADIM_RIDGE = 0.01
# Roth et al. 2022: 1 % of all patches is nearly as good as all. They are chosen among so many, in a
# random projection: among all of a large cohort it would take minutes.
BANK_SHARE = 0.01
BANK_PATCHES = 50_000
BANK_PROJECTION = 32
# Of the whole feature map, after Ndiour et al. 2020 (feature reconstruction error).
FEATURE_COMPONENTS = 128

Features = Callable[[Tensor], Sequence[Tensor]]
Result = TypeVar("Result")


class LastCall(Generic[Result]):
    """A function of images that remembers its last answer: several peers ask for the same scan."""

    def __init__(self, function: Callable[[Tensor], Result]) -> None:
        self._function = function
        self._last: tuple[Tensor, Result] | None = None

    def __call__(self, images: Tensor) -> Result:
        """Give what the function gives for these very images."""
        if self._last is None or self._last[0] is not images:
            self._last = (images, self._function(images))
        return self._last[1]


class FeaturePeer(MapBaseline):
    """A detector on feature maps: its parents' maps brought to one grid, its own distance there."""

    # The side of the grid is that of the image over this.
    stride: int

    # As the papers do: a scan is as strange as its strangest place.
    pooled_share = HOTTEST_SHARE

    def __init__(self, features: Features) -> None:
        """Take the features."""
        self._features = features
        self._enlarge = LastCall(self._draw)

    def error_map(self, images: Tensor) -> Tensor:
        """Give the distance of each place, enlarged to the pixels; float32 [B, 1, H, W]."""
        return self._enlarge(images)

    def _draw(self, images: Tensor) -> Tensor:
        parts = [self._measure(grid) for grid in self._embed(images)]
        enlarged: Tensor = functional.interpolate(
            torch.cat(parts), size=images.shape[-2:], mode="bilinear", align_corners=False
        )
        return enlarged

    @abstractmethod
    def _measure(self, grid: Tensor) -> Tensor:
        """Give the distance of each place; float32 [B, 1, G, G], 0 or more."""

    @torch.no_grad()
    def _embed(self, images: Tensor) -> Iterator[Tensor]:
        """Give the features of some images after the others, on one grid; float32 [B, K, G, G]."""
        side = images.shape[-1] // self.stride
        chunks = [images] if len(images) <= CHUNK_IMAGES else torch.split(images, CHUNK_IMAGES)
        for chunk in chunks:
            yield torch.cat([_resize(each, side) for each in self._features(chunk)], dim=1)


class Padim(FeaturePeer):
    """A Gaussian of the features of each place (PaDiM, Defard et al. 2020, arXiv 2011.08785)."""

    stride = 4

    def fit(self, images: Tensor, foreground: Tensor) -> Self:
        """Learn mean and covariance of each place, over some of the channels."""
        del foreground
        self._chosen = _draw_channels(next(self._embed(images[:1])).shape[1])
        count, total, squares = 0, torch.zeros(()).double(), torch.zeros(()).double()
        for grid in self._embed(images):
            flat = grid[:, self._chosen].flatten(2)  # [B, K, P]
            count += len(flat)
            total = total + flat.double().sum(dim=0)
            squares = squares + torch.einsum("bkp,blp->pkl", flat, flat).double()
        mean = total / count  # [K, P]
        apart = squares / count - torch.einsum("kp,lp->pkl", mean, mean)
        ridge = PADIM_RIDGE * torch.eye(len(self._chosen), dtype=torch.float64)
        covariance = apart * count / max(1, count - 1) + ridge
        self._mean = mean.float()
        self._precision = torch.linalg.inv(covariance).float()  # [P, K, K]
        return self

    def _measure(self, grid: Tensor) -> Tensor:
        """Give the Mahalanobis distance of each place."""
        apart = grid[:, self._chosen].flatten(2) - self._mean
        weighed = torch.einsum("pkl,blp->bkp", self._precision, apart)
        squared = (apart * weighed).sum(dim=1).clamp_min(0.0)
        return squared.sqrt().view(-1, 1, *grid.shape[2:])


class PatchCore(FeaturePeer):
    """Distance to the nearest of a memory of healthy patches (Roth et al. 2022, CVPR)."""

    stride = 8

    def fit(self, images: Tensor, foreground: Tensor) -> Self:
        """Keep the patches that cover all others best."""
        del foreground
        patches = torch.cat([self._list_patches(grid) for grid in self._embed(images)])
        count = max(2, math.ceil(BANK_SHARE * len(patches)))
        generator = torch.Generator().manual_seed(PEER_SEED)
        some = patches[torch.randperm(len(patches), generator=generator)[:BANK_PATCHES]]
        self._bank = some[_cover(some, count)]
        return self

    def _measure(self, grid: Tensor) -> Tensor:
        """Give the distance of each patch to the nearest of the memory."""
        distance = torch.cdist(self._list_patches(grid), self._bank).min(dim=1).values
        return distance.view(len(grid), 1, *grid.shape[2:])

    def _list_patches(self, grid: Tensor) -> Tensor:
        """Average each place with its neighbours, and list all; float32 [B G G, K]."""
        around = functional.avg_pool2d(grid, 3, stride=1, padding=1, count_include_pad=False)
        return around.permute(0, 2, 3, 1).flatten(0, 2)


class FeaturePca(FeaturePeer):
    """Residual of whole feature maps on their principal components (Ndiour et al. 2020)."""

    stride = 16

    def fit(self, images: Tensor, foreground: Tensor) -> Self:
        """Learn the components."""
        del foreground
        flat = torch.cat([grid.flatten(1) for grid in self._embed(images)])
        self._mean = flat.mean(dim=0)
        count = min(FEATURE_COMPONENTS, len(flat) - 1)
        centred = (flat - self._mean).numpy()
        _, _, directions = randomized_svd(centred, count, random_state=PEER_SEED)
        self._components = torch.from_numpy(directions)  # float32 [C, K G G]
        return self

    def _measure(self, grid: Tensor) -> Tensor:
        """Give the length of the residual at each place."""
        centred = grid.flatten(1) - self._mean
        residual = centred - centred @ self._components.T @ self._components
        length: Tensor = residual.view_as(grid).square().sum(dim=1, keepdim=True).sqrt()
        return length


class MeanPeer(MapBaseline):
    """The same map, averaged over the whole body: fairer to peers where disease is diffuse."""

    pooled_share = WHOLE_FOREGROUND

    def __init__(self, peer: FeaturePeer) -> None:
        """Take the peer, fitted."""
        self._peer = peer

    def fit(self, images: Tensor, foreground: Tensor) -> Self:
        """Learn nothing: the peer has."""
        del images, foreground
        return self

    def error_map(self, images: Tensor) -> Tensor:
        """Give the peer's map; float32 [B, 1, H, W]."""
        return self._peer.error_map(images)


PEERS: Mapping[str, type[FeaturePeer]] = {
    "padim": Padim,
    "patchcore": PatchCore,
    "feature_pca": FeaturePca,
}


def fit_peers(network: Network, healthy: HealthySlices) -> dict[str, Baseline]:
    """Fit every peer on the features at hand.

    Args:
        network: of the bundle; a denoising U-Net gives its own features, others none.
        healthy: what the baselines are fitted on.

    Returns:
        Peers by name: which, on which features, and `mean` where the whole body is averaged. Those
        on frozen features only where the extra `perceptual` is installed.
    """
    fitted: dict[str, Baseline] = {}
    for features_name, features in _list_features(network).items():
        for name, kind in PEERS.items():
            peer = kind(features).fit(healthy.image, healthy.foreground)
            fitted[f"{name}_{features_name}"] = peer
            fitted[f"{name}_{features_name}_mean"] = MeanPeer(peer)
    return fitted


def _list_features(network: Network) -> dict[str, Features]:
    found: dict[str, Features] = {}
    if isinstance(network, DenoisingUnet):
        found["own"] = LastCall(network.encode)
    try:
        found["frozen"] = LastCall(load_perceptual_features(DEEP_BLOCKS))
    except MissingExtra:
        return found
    return found


def _resize(values: Tensor, side: int) -> Tensor:
    """Average down, or enlarge smoothly, to a grid of this side; float32 [B, K, side, side]."""
    if values.shape[-1] > side:
        return functional.adaptive_avg_pool2d(values, side)
    return functional.interpolate(values, size=(side, side), mode="bilinear", align_corners=False)


def _draw_channels(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(PEER_SEED)
    return torch.randperm(count, generator=generator)[:PADIM_CHANNELS].sort().values


def _cover(patches: Tensor, count: int) -> Tensor:
    """Choose patches greedily, each the farthest from those before (algorithm 1): int64 [count].

    Distances are taken in a random projection, which keeps them nearly (the paper, section 3.2).
    """
    generator = torch.Generator().manual_seed(PEER_SEED)
    width = min(BANK_PROJECTION, patches.shape[1])
    projection = torch.randn(patches.shape[1], width, generator=generator) / math.sqrt(width)
    small = patches @ projection
    chosen = [int(torch.randint(len(small), (1,), generator=generator))]
    nearest = (small - small[chosen[0]]).square().sum(dim=1)
    for _ in range(min(count, len(small)) - 1):
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (small - small[chosen[-1]]).square().sum(dim=1))
    return torch.tensor(chosen)
