"""The methods on one plan: train each, evaluate each, compare."""
