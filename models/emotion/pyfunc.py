"""The emotion model behind MLflow's pyfunc interface: a table of utterances in, a table of probabilities out."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from data_contracts.errors import ModelError
from models.emotion.model import EmotionModel


class _Pyfunc:
    """The model behind MLflow's loader_module protocol."""

    def __init__(self, model: EmotionModel) -> None:
        self.model = model

    def predict(
        self,
        model_input: pd.DataFrame,  # a float32 column a feature; perhaps speaker_id; others ignored
        params: dict[str, Any] | None = None,  # noqa: ARG002 - MLflow passes it
    ) -> pd.DataFrame:  # a float64 column a class
        """Return the probabilities; with a column `speaker_id`, adapted to the rows as a corpus and to its speakers.

        Raises ModelError where a feature's column is missing.
        """
        missing = [name for name in self.model.feature_names if name not in model_input]
        if missing:
            raise ModelError(
                f"expected {len(self.model.feature_names)} features by name, found no {', '.join(missing[:3])} "
                f"({len(missing)} missing): extract the features that it was trained on"
            )
        features = torch.from_numpy(np.array(model_input[list(self.model.feature_names)].to_numpy(np.float32)))
        has_speakers = "speaker_id" in model_input and not model_input["speaker_id"].isna().any()
        speakers = model_input["speaker_id"].astype(str).tolist() if has_speakers else None
        scores = self.model.scores(features, speakers)
        return pd.DataFrame(scores.numpy(), columns=list(self.model.classes), index=model_input.index)


def _load_pyfunc(data_path: str) -> _Pyfunc:
    return _Pyfunc(EmotionModel.load(Path(data_path)))
