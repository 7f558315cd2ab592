"""A made-up table of houses with columns of every kind, and settings that make a model of it in a moment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

FAST: dict[str, Any] = {"epochs": 4, "n_members": 2, "random_state": 0}


def houses(n: int = 300, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Numbers, categories few and many, flags, dates, gaps, a constant, an identifier, and text; with prices."""
    rng = np.random.default_rng(seed)
    town = rng.choice(["Ulm", "Aue", "Hof"], n)
    area = rng.gamma(5, 20, n)
    table = pd.DataFrame({
        "area": np.where(rng.random(n) < 0.02, np.nan, area),
        "town": town,
        "street": rng.choice([f"street {i}" for i in range(12)], n),
        "garden": rng.random(n) < 0.5,
        "sold": np.datetime64("2024-01-01") + rng.integers(0, 700, n).astype("timedelta64[D]"),
        "constant": 1.0,
        "key": [f"k{i}" for i in range(n)],
    })  # fmt: skip
    price = 1e6 + 3000 * area + 1e5 * (town == "Ulm") + rng.normal(0, 5e3, n)
    return table, price
