"""The version of the package, in the one place that every reader takes it from."""

__version__ = "0.1.0.dev0"
