"""What every function needs: clients, time, logs and metrics."""
