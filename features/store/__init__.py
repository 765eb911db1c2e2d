"""Feature store: features as Parquet in the lake."""
