"""Trees of lung arteries, veins and bronchi, grown towards random targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from napari_ctclip.simulation.body_plan import BodyPlan
from napari_ctclip.simulation.torso import Canvas
from napari_ctclip.simulation.tubes import tube_coverage

__all__ = ["LungTrees", "grow_lung_trees", "lobe_of", "paint_airway_trees", "paint_vessel_trees"]

FloatArray = npt.NDArray[np.float64]

_BRANCHING_EXPONENT = 0.37  # radius ~ leaves ** 0.37, close to Murray's law (1/3)
_STEP_MM = 6.0
_BRONCHI_FROM_MM = 0.8  # finer ones show neither air nor wall, even in consolidated lung
_WALLS_FROM_MM = 1.4  # thinner bronchi have no wall that CT shows in aerated lung


@dataclass(frozen=True)
class LungTrees:
    """Capsules (N, 8) of both lungs: ends (z, y, x) and radii, mm.

    Attributes
    ----------
    arteries, veins : ndarray
        Blood.
    bronchi : ndarray
        Outer surface of the airways.
    bronchus_wall : float
        Wall as a share of the radius.
    """

    arteries: FloatArray
    veins: FloatArray
    bronchi: FloatArray
    bronchus_wall: float


def grow_lung_trees(
    canvas: Canvas, plan: BodyPlan, rng: np.random.Generator, *, hila_mm: FloatArray
) -> LungTrees:
    """Return the trees of a body, grown on a coarse canvas of its lungs."""
    arteries: list[FloatArray] = []
    veins: list[FloatArray] = []
    bronchi: list[FloatArray] = []
    thin = float(rng.uniform(0.34, 0.54))
    litre_density = float(rng.uniform(450, 1100))
    for side, label in enumerate((2, 3)):
        inside = np.argwhere((canvas.labels == label) & (canvas.depth > 2.5))
        litres = len(inside) * canvas.grid.voxel_volume_ml / 1000
        for tree in (arteries, veins):
            count = int(litre_density * litres)
            pick = inside[rng.integers(0, len(inside), count)]
            targets = canvas.grid.point_of(pick + rng.uniform(-0.5, 0.5, pick.shape))
            roots = hila_mm[side] + _ROOTS[0 if tree is arteries else 1] * [1, 1, 1 - 2 * side]
            capsules = _grow(roots, targets, lobe_of(plan, targets, right=side == 0), thin)
            tree.append(_wobble(capsules, rng))
        bronchi.append(_beside(arteries[-1], rng))
    wall = float(rng.uniform(0.12, 0.25))
    return LungTrees(np.vstack(arteries), np.vstack(veins), np.vstack(bronchi), wall)


def paint_airway_trees(canvas: Canvas, trees: LungTrees, *, wall_hu: float = -100.0) -> None:
    """Paint the small airways: a wall that fades with the calibre, and air."""
    _paint(canvas, trees.bronchi[trees.bronchi[:, 7] > _WALLS_FROM_MM], wall_hu)
    lumen = trees.bronchi.copy()
    lumen[:, 6:] = np.maximum(lumen[:, 6:] * (1 - trees.bronchus_wall) - 0.15, 0.05)
    _paint(canvas, lumen, -985.0)


def paint_vessel_trees(canvas: Canvas, plan: BodyPlan, trees: LungTrees) -> None:
    """Paint arteries and veins into the lungs."""
    _paint(canvas, trees.veins, float(plan.blood_hu[1]))
    _paint(canvas, trees.arteries, float(plan.blood_hu[0]))


def lobe_of(plan: BodyPlan, points_mm: FloatArray, *, right: bool) -> npt.NDArray[np.int64]:
    """Return 0 upper, 1 middle (right lung only), 2 lower for points (N, 3)."""
    z, y = points_mm[:, 0] / plan.height_mm, points_mm[:, 1] / (90 * plan.depth_scale)
    lower = z > 0.52 - 0.42 * y  # the oblique fissure descends from behind to the front
    middle = ~lower & (z > 0.46)
    return np.where(lower, 2, np.where(middle & right, 1, 0))


_ROOTS = (
    np.array([[2.0, 0.0, -4.0], [10.0, 4.0, -5.0]]),  # artery: truncus and interlobar
    np.array([[6.0, -8.0, -2.0], [18.0, 8.0, -1.0]]),  # superior and inferior vein
)


def _grow(
    roots: FloatArray, targets: FloatArray, lobes: npt.NDArray[np.int64], thin_mm: float
) -> FloatArray:
    order = np.argsort(np.linalg.norm(targets - roots.mean(axis=0), axis=1))
    nodes, parents = _join(roots, targets[order], lobes[order], _STEP_MM)
    leaves = np.zeros(len(nodes))
    has_child = np.zeros(len(nodes), bool)
    has_child[parents[parents >= 0]] = True
    leaves[~has_child] = 1.0
    for node in range(len(nodes) - 1, -1, -1):  # children come after their parents
        if parents[node] >= 0:
            leaves[parents[node]] += leaves[node]
    radius = thin_mm * np.maximum(leaves, 1.0) ** _BRANCHING_EXPONENT
    child = np.flatnonzero(parents >= 0)
    up = parents[child]
    # A side branch keeps its own calibre; the joint must not swell to the trunk's.
    start = np.minimum(radius[up], radius[child] * 1.25)
    return np.hstack([nodes[up], nodes[child], start[:, None], radius[child][:, None]])


@njit(cache=True, fastmath=True, error_model="numpy")
def _join(roots, targets, lobes, step):  # type: ignore[no-untyped-def]
    """Return nodes (N, 3) and parents (N,): each target joined to the nearest node, in order."""
    most = roots.shape[0] + targets.shape[0] * 12
    nodes = np.empty((most, 3))
    parents = np.full(most, -1, np.int64)
    lobe = np.full(most, -1, np.int64)
    far = np.zeros(most)
    n = roots.shape[0]
    nodes[:n] = roots
    for t in range(targets.shape[0]):
        best, at = 1e18, 0
        for m in range(n):
            d2 = 0.0
            for a in range(3):
                d2 += (targets[t, a] - nodes[m, a]) ** 2
            if d2 >= best:
                continue
            # Vessels do not cross fissures, and detours through thin twigs are unnatural.
            cost = np.sqrt(d2) + 0.12 * far[m]
            if lobe[m] >= 0 and lobe[m] != lobes[t]:
                cost += 25.0
            if cost * cost < best:
                best, at = cost * cost, m
        length = 0.0
        for a in range(3):
            length += (targets[t, a] - nodes[at, a]) ** 2
        length = np.sqrt(length)
        pieces = max(1, min(11, int(length / step)))
        start, base = at, far[at]
        for p in range(1, pieces + 1):
            if n >= most:
                break
            for a in range(3):
                nodes[n, a] = nodes[start, a] + (targets[t, a] - nodes[start, a]) * p / pieces
            parents[n], far[n] = at, base + length * p / pieces
            if lobe[start] >= 0 or length * p / pieces > 12.0:
                lobe[n] = lobes[t]
            at = n
            n += 1
    return nodes[:n], parents[:n]


def _wobble(capsules: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return the capsules with their joints moved a little: real vessels are not straight."""
    joints = np.concatenate([capsules[:, :3], capsules[:, 3:6]])
    _, where = np.unique(np.round(joints, 6), axis=0, return_inverse=True)
    shift = rng.normal(0, 0.4, (int(where.max()) + 1, 3))[where.ravel()]
    moved = capsules.copy()
    moved[:, :3] += shift[: len(capsules)]
    moved[:, 3:6] += shift[len(capsules) :]
    return moved


def _beside(arteries: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return bronchi: they run beside the larger arteries, at about the same calibre."""
    thick = arteries[arteries[:, 7] > _BRONCHI_FROM_MM].copy()
    size = float(rng.uniform(0.8, 1.05))
    side = rng.normal(0, 1, 3)
    side /= np.linalg.norm(side)
    along = thick[:, 3:6] - thick[:, :3]
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    across = side - along * (along @ side)[:, None]
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
    radius = np.minimum(thick[:, 6:] * size, 4.5)
    thick[:, :3] += across * (thick[:, 6:7] + radius[:, :1]) * 1.02
    thick[:, 3:6] += across * (thick[:, 7:8] + radius[:, 1:]) * 1.02
    thick[:, 6:] = radius
    return thick


def _paint(canvas: Canvas, capsules: FloatArray, hu: float) -> None:
    """Blend capsules over lung and mediastinal fat; bone, heart and abdomen stay."""
    found = tube_coverage(canvas.grid, capsules)
    if found is None:
        return
    box, cover = found
    depth = canvas.depth[box]
    cover *= np.clip(0.5 + (depth + 9.0) / 6.0, 0, 1)
    cover[np.isin(canvas.labels[box], (4, 5, 6, 7, 8, 9, 10, 11, 14, 15, 16))] = 0
    target = canvas.hu[box]
    target += (np.float32(hu) - target) * cover
