"""Values of other people's implementations for the same counts, as `golden.json`.

    python -m venv /tmp/golden && /tmp/golden/bin/pip install scipy evidently nannyml river 'pandas<3'
    /tmp/golden/bin/python stats/tests/golden/golden.py > stats/tests/golden/golden.json

`TERN_GOLDEN_PYTHON=/tmp/golden/bin/python cargo test -p tern-stats --test golden` runs it again and compares.
Whatever is not installed is left out, and what is pinned of it stays.
"""

import importlib.metadata
import json
import math
import warnings

import numpy as np
import pandas as pd
from scipy import stats
from scipy.spatial.distance import jensenshannon

warnings.filterwarnings("ignore")

PAIRS = {
    "same shape": ([100, 200, 400, 200, 100], [10, 20, 40, 20, 10]),
    "shifted": ([100, 200, 400, 200, 100], [40, 110, 300, 350, 200]),
    "few": ([12, 30, 8], [3, 2, 9]),
    "a bin that was empty": ([50, 0, 25, 25], [40, 10, 30, 20]),
    "many bins": (list(range(10, 74)), list(range(73, 9, -1))),
}


def versions():
    found = {}
    for package in ["numpy", "pandas", "scipy", "evidently", "nannyml", "river"]:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def distances():
    rows = []
    for name, (reference, current) in PAIRS.items():
        p, q = np.array(reference) / sum(reference), np.array(current) / sum(current)
        half_p, half_q = np.array(reference) + 0.5, np.array(current) + 0.5
        half_p, half_q = half_p / half_p.sum(), half_q / half_q.sum()
        used = (np.array(reference) + np.array(current)) > 0
        table = np.array([reference, current])[:, used]
        chi = stats.chi2_contingency(table, correction=False)
        values_p = np.repeat(np.arange(len(reference)), reference)
        values_q = np.repeat(np.arange(len(current)), current)
        rows.append({
            "name": name,
            "reference": reference,
            "current": current,
            "psi_half_count": float(((half_q - half_p) * np.log(half_q / half_p)).sum()),
            "js": float(jensenshannon(p, q, base=2)),
            "ks": float(stats.ks_2samp(values_p, values_q, method="asymp").statistic),
            "chi_square": float(chi.statistic),
            "chi_square_p": float(chi.pvalue),
            "cramers_v": float(stats.contingency.association(table, method="cramer", correction=False)),
        })
    return rows


def tails():
    quantiles = [(0.1, 1), (3.84, 1), (30.0, 10), (5.0, 20), (200.0, 100), (1000.0, 3)]
    students = [(3, 1.96), (5, 1.96), (10, 2.5758), (30, 1.96), (200, 1.96)]
    return {
        "chi_square": [[x, k, float(stats.chi2.sf(x, k))] for x, k in quantiles],
        "student": [[k, z, float(stats.t.ppf(stats.norm.cdf(z), k))] for k, z in students],
        "ln_gamma": [[x, math.lgamma(x)] for x in [0.1, 0.5, 3.7, 25.0, 400.5]],
    }


def evidently_values():
    """Of classes without an empty one, where its binning cannot differ from ours."""
    try:
        from evidently.legacy.calculations.stattests.jensenshannon import _jensenshannon
        from evidently.legacy.calculations.stattests.psi import _psi
        from evidently.legacy.core import ColumnType
    except ImportError:
        return None
    rows = []
    for name in ["shifted", "few"]:
        reference, current = (pd.Series(np.repeat(np.arange(len(c)), c).astype(str)) for c in PAIRS[name])
        kind = ColumnType.Categorical
        rows.append({
            "name": name,
            "psi": float(_psi(reference, current, kind, 0.1)[0]),
            "js_nats": float(_jensenshannon(reference, current, kind, 0.1)[0]),
        })
    return rows


def nannyml_values():
    """CBPE of a calibrated binary model: estimated accuracy, F1 and the like of a chunk, beside the true ones."""
    try:
        import nannyml
    except Exception:
        return None
    rng = np.random.default_rng(7)

    def frame(n, shift):
        x = rng.normal(shift, 1.5, n)
        p = 1 / (1 + np.exp(-x))
        # Served on a coarse grid, so that a table of 20 bins sees what nannyml sees.
        p = (np.floor(p * 20).clip(0, 19) + 0.5) / 20
        y = (rng.random(n) < p).astype(int)
        return pd.DataFrame({"p": p, "pred": (p >= 0.5).astype(int), "y": y})

    reference, served = frame(20000, 0.3), frame(5000, -1.0)
    estimator = nannyml.CBPE(
        y_pred_proba="p", y_pred="pred", y_true="y", problem_type="classification_binary",
        metrics=["accuracy", "f1", "precision", "recall"], chunk_number=1,
    )
    estimator.fit(reference)
    result = estimator.estimate(served).filter(period="analysis").to_df()

    def counts(data):
        """By predicted class, by bin of the predicted class's confidence: how many, and how many are of class 1."""
        confidence = np.where(data.pred == 1, data.p, 1 - data.p)
        bins = np.minimum((confidence * 20).astype(int), 19)
        return [
            [[int(((data.pred == k) & (bins == b)).sum()), int(((data.pred == k) & (bins == b) & (data.y == 1)).sum())] for b in range(20)]
            for k in (0, 1)
        ]

    estimated = {metric: float(result[metric]["value"].iloc[0]) for metric in ["accuracy", "f1", "precision", "recall"]}
    return {"validation": counts(reference), "served": [[b[0] for b in k] for k in counts(served)], **estimated}


def river_values():
    """Kolmogorov-Smirnov of two streams of the same length, kept up value by value."""
    try:
        from river import stats as river_stats
    except ImportError:
        return None
    streams = [[((i * a) % m) for i in range(200)] for a, m in [(37, 8), (41, 6)]]
    statistic = river_stats.KolmogorovSmirnov(statistic="ks")
    for x, y in zip(*streams):
        statistic.update(x, y)
    counts = [[stream.count(value) for value in range(8)] for stream in streams]
    return {"reference": counts[0], "current": counts[1], "ks": float(statistic.get())}


def weighted():
    """A weighted mean with the linearised variance of a ratio, from the formula alone."""
    x = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0])
    probability = np.array([0.5, 0.1, 1.0, 0.25, 0.2, 0.8, 0.05, 0.5])
    w = 1 / probability
    mean = (w * x).sum() / w.sum()
    kish = w.sum() ** 2 / (w ** 2).sum()
    variance = ((w * (x - mean)) ** 2).sum() / w.sum() ** 2 * kish / (kish - 1)
    return {
        "values": x.tolist(), "probabilities": probability.tolist(), "mean": float(mean),
        "half_width": float(stats.t.ppf(stats.norm.cdf(1.959963984540054), kish - 1) * np.sqrt(variance)),
    }


def t_evidence():
    """The integral of the t-test's likelihood ratio over a standard normal effect, numerically."""
    from scipy.integrate import quad
    rows = []
    for n, mean, sd in [(5, 0.3, 0.4), (12, 0.1, 0.05), (30, 0.0, 1.0)]:
        t = np.sqrt(n) * mean / sd
        ratio = lambda d: stats.nct.pdf(t, n - 1, np.sqrt(n) * d) / stats.t.pdf(t, n - 1) * stats.norm.pdf(d)
        value = sum(quad(ratio, a, a + 1, limit=200)[0] for a in range(-8, 8))
        rows.append([n, mean, sd, float(np.log(value))])
    return rows


if __name__ == "__main__":
    found = {
        "versions": versions(),
        "distances": distances(),
        "tails": tails(),
        "weighted": weighted(),
        "t_evidence": t_evidence(),
        "evidently": evidently_values(),
        "nannyml": nannyml_values(),
        "river": river_values(),
    }
    rounded = json.loads(json.dumps(found), parse_float=lambda text: float(f"{float(text):.10g}"))
    print(json.dumps(rounded, separators=(",", ":")))
