"""`lgnet train`: needs the `train` extra."""
