"""What lgnet is measured with; installs as `lgnet_cli.benchmarks`."""
