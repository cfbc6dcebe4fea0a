"""Model in, pixels out: one file a back end behind the protocol of `protocol.py`; installs as `lgnet_cli.engines`."""
