"""`sluice bench`: how quick the pipeline and its engine are, measured and printed, never judged by an exit code."""
