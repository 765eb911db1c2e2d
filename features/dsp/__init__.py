"""Signal processing: tensors in, tensors out; torch and NumPy only."""
