"""Files that keep a model: safe to open, written whole or not at all."""

from layerloop.files.bundle import Bundle, load_any, save_bundle
from layerloop.files.model import load, save

__all__ = ["Bundle", "load", "load_any", "save", "save_bundle"]
