"""transform: turns chunks into silver files and quarantined rows."""
