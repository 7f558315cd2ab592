"""How many epochs and folds fit into the time that is given."""

from __future__ import annotations

import time

from layerloop.cores import core_count
from layerloop.data.batches import DataLoader
from layerloop.errors import SettingError
from layerloop.estimators.table_network import network_for, rule_for
from layerloop.estimators.table_training import Task, loss_of
from layerloop.training import train

STEPS = 5  # that are timed
LEAST_EPOCHS = 8  # a schedule shorter than that is better spent on fewer folds
SHARE = 0.8  # of the time goes into training; the rest is for judging and for what is slower than it looked


def within_time(task: Task) -> Task:
    """Return the task with as many epochs, and if need be folds, as its time limit allows.

    Raises
    ------
    SettingError
        A limit that is not positive.
    """
    if task.limit is None:
        return task
    if not task.limit > 0:
        raise SettingError(f"time_limit must be a positive number of seconds, got {task.limit!r}")
    recipe = task.recipe
    total = SHARE * max(task.limit - task.seconds, 0.0) / seconds_per_epoch(task)  # passes, one after another
    at_once = min(core_count(), recipe.folds)
    folds = recipe.folds
    while folds > 1 and total * min(at_once, folds) / folds < LEAST_EPOCHS:
        folds -= 1
    epochs = max(1, min(recipe.epochs, int(total * min(at_once, folds) / folds)))
    task.recipe = recipe.with_(folds=folds, epochs=epochs)
    return task


def seconds_per_epoch(task: Task) -> float:
    """Return how long a pass takes, by a few steps of a network that is then thrown away."""
    recipe = task.recipe
    n = min(len(task.X), STEPS * recipe.batch)
    m = network_for(recipe, task.features, task.X[:n], task.outputs, seed=0)
    loader = DataLoader((task.X[:n], task.y[:n]), min(recipe.batch, n), shuffle=True)
    took = 0.0
    for _ in range(2):  # the first warms caches and whatever is loaded at first use
        begun = time.perf_counter()
        train(m, loader, loss_of(recipe), rule_for(recipe, m), 1, threads=1)
        took = time.perf_counter() - begun
    return took * len(task.X) / n
