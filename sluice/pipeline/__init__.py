"""Reading and driving a deployed pipeline. Nothing here prints."""
