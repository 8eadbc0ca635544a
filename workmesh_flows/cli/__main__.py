"""``python -m workmesh_flows.cli``."""

from workmesh_flows.cli import main

main()
