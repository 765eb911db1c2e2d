"""Audio in, tensors through, Parquet out: decoding, speech detection, DSP, eGeMAPS, the feature store."""
