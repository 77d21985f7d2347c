"""Exact ray tests with warp, on the CPU or a GPU: nearest hits, and whether anything lies between two points.

Why warp: anny brings it along, one wheel has no other dependency, its CPU kernels are single-threaded (one process, one core,
the same input gives the same bits), and the same code runs on CUDA.  embreex shoots rays three times as fast and builds
more slowly, pyrender and moderngl need a display or a GL library, mitsuba's fast variants need LLVM.  The choice is behind
`TriangleSoup`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, no_type_check

import numpy as np
import numpy.typing as npt

__all__ = ["TriangleSoup", "quiet_warp"]

Array = npt.NDArray[Any]

_FAR_M = 1.0e4
_CPU_TREE = {"bvh_constructor": "cubql", "bvh_leaf_size": 4}  # built in 2 ms instead of 7, traced as fast


def quiet_warp() -> Any:
    """The module warp, without its greeting and its warning that there is no GPU; to be called before anny is imported."""
    import warp as wp

    wp.config.log_level = max(wp.config.log_level, wp.LOG_ERROR)
    wp.init()
    return wp


@lru_cache(maxsize=1)
def _kernels() -> tuple[Any, Any, Any]:
    """warp and its two kernels, compiled when the first rays are shot (seconds; kept by warp's own cache)."""
    wp = quiet_warp()

    @wp.kernel
    @no_type_check
    def nearest(
        mesh: wp.uint64,
        origin: wp.array(dtype=wp.vec3),
        direction: wp.array(dtype=wp.vec3),
        far: wp.float32,
        triangle: wp.array(dtype=wp.int32),
        hit: wp.array(dtype=wp.vec3),
    ):
        ray = wp.tid()
        query = wp.mesh_query_ray(mesh, origin[ray], direction[ray], far)
        triangle[ray] = -1
        if query.result:
            triangle[ray] = query.face
            hit[ray] = wp.vec3(query.u, query.v, query.t)

    @wp.kernel
    @no_type_check
    def blocked(
        mesh: wp.uint64,
        origin: wp.array(dtype=wp.vec3),
        direction: wp.array(dtype=wp.vec3),
        reach: wp.array(dtype=wp.float32),
        out: wp.array(dtype=wp.uint8),
    ):
        ray = wp.tid()
        out[ray] = wp.uint8(0)
        if wp.mesh_query_ray_anyhit(mesh, origin[ray], direction[ray], reach[ray]):
            out[ray] = wp.uint8(1)

    return wp, nearest, blocked


class TriangleSoup:
    """Triangles that can be asked what a ray meets.

    Parameters
    ----------
    vertices_m : (V, 3) array
    triangles : (T, 3) array of int
    device : str
        warp's name of it.
    """

    def __init__(self, vertices_m: Array, triangles: Array, device: str = "cpu") -> None:
        wp, self._nearest, self._blocked = _kernels()
        self._wp, self._device = wp, device
        self._mesh = wp.Mesh(
            points=wp.array(np.ascontiguousarray(vertices_m, np.float32), dtype=wp.vec3, device=device),
            indices=wp.array(np.ascontiguousarray(triangles, np.int32).ravel(), dtype=wp.int32, device=device),
            **(_CPU_TREE if device == "cpu" else {}),
        )

    def nearest(self, origin: Array, direction: Array) -> tuple[Array, Array, Array]:
        """First hits of N rays.

        Parameters
        ----------
        origin : (N, 3) or (3,) array
        direction : (N, 3) array

        Returns
        -------
        triangle : (N,) int32 array, -1 where nothing is met
        weights : (N, 3) float32 array, of the triangle's corners
        distance : (N,) float32 array, in lengths of `direction`
        """
        wp, count = self._wp, len(direction)
        triangle = wp.zeros(count, dtype=wp.int32, device=self._device)
        hit = wp.zeros(count, dtype=wp.vec3, device=self._device)
        if count:
            rays = [self._vectors(origin, count), self._vectors(direction, count)]
            wp.launch(self._nearest, dim=count, inputs=[self._mesh.id, *rays, _FAR_M, triangle, hit], device=self._device)
        u, v, distance = hit.numpy().reshape(-1, 3).T
        return triangle.numpy(), np.stack([u, v, 1 - u - v], axis=1), distance

    def blocked(self, origin: Array, direction: Array, reach: Array | float = 1e3) -> Array:
        """Whether anything lies on each of N rays nearer than `reach` (in lengths of `direction`), (N,) bool."""
        wp, count = self._wp, len(direction)
        out = wp.zeros(count, dtype=wp.uint8, device=self._device)
        if count:
            rays = [self._vectors(origin, count), self._vectors(direction, count)]
            limit = wp.array(np.broadcast_to(np.asarray(reach, np.float32), (count,)).copy(), dtype=wp.float32, device=self._device)
            wp.launch(self._blocked, dim=count, inputs=[self._mesh.id, *rays, limit, out], device=self._device)
        return np.asarray(out.numpy(), dtype=bool)

    def _vectors(self, values: Array, count: int) -> Any:
        full = np.broadcast_to(np.asarray(values, np.float32), (count, 3))
        return self._wp.array(np.ascontiguousarray(full), dtype=self._wp.vec3, device=self._device)
