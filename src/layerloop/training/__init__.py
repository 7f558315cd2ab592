"""Training: the loop, what hangs off it, and its record."""

from layerloop.training.callbacks import Progress, Steps, Stop, read_history, save_history, throttle, write_history
from layerloop.training.history import History
from layerloop.training.loop import train
from layerloop.training.quasi_newton import lbfgs

__all__ = [
    "History",
    "Progress",
    "Steps",
    "Stop",
    "lbfgs",
    "read_history",
    "save_history",
    "throttle",
    "train",
    "write_history",
]
