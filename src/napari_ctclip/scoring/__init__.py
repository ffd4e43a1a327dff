"""Embeddings to answers: similarity, maps, probabilities."""
