"""Image and text to embeddings, behind one contract."""
