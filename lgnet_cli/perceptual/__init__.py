"""Networks that judge pictures as people do, from files that other projects publish: for losses and tables."""
