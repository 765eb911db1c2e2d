"""Model registry: MLflow, artifacts, model cards, licences; the only room that knows MLflow."""
