"""Audio in, tensors through, Parquet out: decoding, speech detection, DSP, functionals, the feature store."""
