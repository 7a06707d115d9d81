"""PEFT's merge operators in float64 numpy, written from their meaning, and their golden vectors.

Usage: python tools/golden/operators.py   writes tests/golden/merges/operators.json
"""

import numpy as np

from common import GOLDEN, VERSIONS, check_versions, write_json


def magnitude(tensor, density):
    """The k = floor(density * numel) largest entries; of equal ones the first."""
    if density >= 1:
        return tensor.copy()
    keep = int(density * tensor.size)
    order = np.argsort(-np.abs(tensor), axis=None, kind="stable")[:keep]
    out = np.zeros(tensor.size)
    out[order] = tensor.reshape(-1)[order]
    return out.reshape(tensor.shape)


def weighted_sum(tensors, weights):
    return sum(weight * tensor for weight, tensor in zip(weights, tensors))


def elect(tensors, weights, method):
    """Unweighted vote, sum of the weighted entries that agree, divided by how many agree."""
    votes = [np.sign(t) if method == "frequency" else t for t in tensors]
    majority = np.where(sum(votes) >= 0, 1.0, -1.0)
    agree = [np.sign(t) == majority for t in tensors]
    count = np.maximum(1, sum(a.astype(int) for a in agree))
    return sum(w * t * a for w, t, a in zip(weights, tensors, agree)) / count


def operate(name, tensors, weights, density=None, method="total"):
    """The operator behind a combination type; random pruning only at density 1, where it keeps everything."""
    name = name.removesuffix("_svd")
    if name in ("linear", "svd", "cat"):
        return weighted_sum(tensors, weights)
    if name.startswith("dare"):
        assert density == 1.0
        return weighted_sum(tensors, weights) if name == "dare_linear" else elect(tensors, weights, method)
    pruned = [magnitude(t, density) for t in tensors]
    return weighted_sum(pruned, weights) if name == "magnitude_prune" else elect(pruned, weights, method)


def truncate(matrix, rank):
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    return (u[:, :rank] * s[:rank]) @ v[:rank]


def vectors():
    t1, t2 = [3, -1, 0.5, 2, -4, 0.1], [-2, -3, 1, 0.2, 5, -0.3]
    cases = [
        ("ties", [1, 0.5], 0.5, "total", [3, -1.5, 0, 2, 2.5, 0]),
        ("magnitude_prune", [1, 0.5], 0.5, None, [2, -1.5, 0, 2, -1.5, 0]),
        ("ties", [1, -0.5], 0.5, "total", [3, 1.5, 0, 2, -2.5, 0]),
        ("ties", [1, 0.5], 0.5, "frequency", None),
        ("ties", [1, 0.5], 1.0, "total", None),
        ("ties", [1, 0.5], 0.17, "total", None),
        ("magnitude_prune", [-1, 2], 0.3, None, None),
        ("linear", [1, 0.5], None, None, None),
        ("dare_ties", [1, -0.5], 1.0, "frequency", None),
    ]
    out = []
    for name, weights, density, method, known in cases:
        result = operate(name, [np.array(t1, float), np.array(t2, float)], weights, density, method or "total")
        if known is not None:
            assert np.allclose(result, known, atol=1e-12), (name, result, known)
        out.append(
            {
                "operator": name,
                "tensors": [t1, t2],
                "weights": weights,
                "density": density,
                "majority_sign_method": method,
                "result": result.tolist(),
            }
        )
    return out


def worked_example():
    """Two rank-1 updates of a 2 x 3 weight, everything that follows from them."""
    a1, b1, a2, b2 = (np.array(m, float) for m in ([[1, 0, 2]], [[1], [0]], [[0, 1, 0]], [[1], [1]]))
    d1, d2 = b1 @ a1, b2 @ a2
    total = d1 + d2
    sigma = np.linalg.svd(total, compute_uv=False)
    base, m = np.array([[3, 4, 0], [0, 0, 5]], float), np.array([10, 5], float)
    gain = m / np.linalg.norm(base + d1, axis=1)
    dora = gain[:, None] * (base + d1)
    peft_linear = (b1 + b2) @ (a1 + a2)
    orthonormal_u = np.stack([d1.sum(1) / np.linalg.norm(d1.sum(1)), b2[:, 0] / np.sqrt(2)], 1)
    out = {
        "a": [a1.tolist(), a2.tolist()],
        "b": [b1.tolist(), b2.tolist()],
        "deltas": [d1.tolist(), d2.tolist()],
        "gram": [[float((x * y).sum()) for y in (d1, d2)] for x in (d1, d2)],
        "sum": total.tolist(),
        "singular_values": sigma.tolist(),
        "rank1": truncate(total, 1).tolist(),
        "rank1_relative_error": float(sigma[1] / np.linalg.norm(sigma)),
        "peft_linear": peft_linear.tolist(),
        "lorahub_half_half": (0.25 * peft_linear).tolist(),
        "dora": {"base": base.tolist(), "magnitude": m.tolist(), "gain": gain.tolist(), "merged": dora.tolist()},
        "tsv_m": tsv(orthonormal_u, a1, a2).tolist(),
        "iso_c": iso(total).tolist(),
    }
    assert np.allclose(out["gram"], [[5, 0], [0, 2]]) and np.allclose(total, [[1, 1, 2], [0, 1, 0]])
    assert np.allclose(sigma, [2.4885, 0.8986], atol=5e-5) and abs(out["rank1_relative_error"] - 0.3396) < 5e-5
    assert np.allclose(peft_linear, [[2, 2, 4], [1, 1, 2]])
    assert np.allclose(dora, [[6.6667, 6.6667, 3.3333], [0, 0, 5]], atol=5e-5)
    assert np.allclose(out["tsv_m"], [[0.9239, 0.5412, 1.8478], [-0.3827, 1.3066, -0.7654]], atol=5e-5)
    assert np.allclose(out["iso_c"], [[0.7236, 0.5, 1.4472], [-0.2236, 1.6180, -0.4472]], atol=5e-5)
    return out


def polar(matrix):
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    return u @ v


def tsv(u, a1, a2):
    """Orthogonalised singular vectors of each update (k = 1) with their own singular values."""
    v = np.concatenate([a1 / np.linalg.norm(a1), a2 / np.linalg.norm(a2)])
    return polar(u) @ np.diag([np.sqrt(5), np.sqrt(2)]) @ polar(v)


def iso(total):
    u, s, v = np.linalg.svd(total, full_matrices=False)
    return s.mean() * (u @ v)


def main():
    check_versions()
    folder = GOLDEN / "merges"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "operators.json", {"versions": VERSIONS, "vectors": vectors(), "example": worked_example()})


if __name__ == "__main__":
    main()
