"""What NVIDIA's GPUs take or need otherwise than a CPU does."""
