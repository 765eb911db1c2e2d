"""MLflow's loader module of an emotion model: registries store this name."""

from models.emotion.pyfunc import _load_pyfunc

__all__ = ["_load_pyfunc"]
