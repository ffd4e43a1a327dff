"""What a model will see of a scan, and what encoding it takes."""
