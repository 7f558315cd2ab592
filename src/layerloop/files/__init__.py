"""Files that keep a network: safe to open, written whole or not at all."""

from layerloop.files.model import load, save

__all__ = ["load", "save"]
