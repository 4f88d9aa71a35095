"""Set-up: environments and tools. Standard library only."""
