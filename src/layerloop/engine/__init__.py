"""Engines: they run a plan over batches of rows. The NumPy one is always there; its contract is that of every other."""

from layerloop.engine.choose import ENGINES, Engine, engine_name, make_engine
from layerloop.engine.reference import BLOCK, ReferenceEngine, Rows
from layerloop.engine.updates import kept

__all__ = ["BLOCK", "ENGINES", "Engine", "ReferenceEngine", "Rows", "engine_name", "kept", "make_engine"]
