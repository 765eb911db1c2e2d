"""MLflow's loader module of a pretrained speaker encoder: registries store this name."""

from models.pretrained.speaker import _load_pyfunc

__all__ = ["_load_pyfunc"]
