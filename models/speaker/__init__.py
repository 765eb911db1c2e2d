"""Speaker model: embeddings, training, verification and linking."""
