"""MLflow's loader module of a pretrained emotion model: registries store this name."""

from models.pretrained.emotion import _load_pyfunc

__all__ = ["_load_pyfunc"]
