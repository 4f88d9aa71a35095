"""The road to an account: bootstrap, plan files, what is checked before a deployment, drift, and a rehearsal of all."""
